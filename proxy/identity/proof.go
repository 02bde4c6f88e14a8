// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// proofIDBytes is how much of the digest a proof's id has: enough that nobody finds two
// proofs of one id.
const proofIDBytes = 16

// ProofID makes the id of a proof from what tells it from all others, such as a token's
// issuer and its jti: the first 16 bytes of a SHA-256, in hexadecimal. It is shown to
// readers of records, so the parts must not be what proves, but for one that nobody can
// guess.
func ProofID(parts ...string) string {
	all := []byte("doorward.dev/proof/v1")
	for _, part := range parts {
		all = append(binary.BigEndian.AppendUint64(all, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:proofIDBytes])
}
