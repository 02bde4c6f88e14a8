// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
)

// The bounds of a key id's parts, in bytes. sshd cuts lines of its log at 1024.
// A session needs none: it is 281 at most.
const (
	maxKeyIDUser     = 128
	maxKeyIDProvider = 64
	maxKeyIDActors   = 96
)

// sshKeyID is the key id of the session's certificates.
func (g *Grant) sshKeyID() string {
	id := "user=" + keyIDPart(g.principal.UserName, maxKeyIDUser) + " provider=" + keyIDPart(g.principal.Provider, maxKeyIDProvider)
	if len(g.principal.Delegation) > 0 {
		id += " actors=" + cut(keyIDActors(g.principal.Delegation), maxKeyIDActors)
	}
	return id + " session=" + percent(g.Connection().Namespace+"/"+g.id)
}

// keyIDActors are the actors of a chain, outermost first, as issuer|subject
// with a comma between them.
func keyIDActors(chain []identity.Actor) string {
	actors := make([]string, len(chain))
	for i, actor := range chain {
		actors[i] = percent(actor.Subject)
		if actor.Issuer != "" {
			actors[i] = percent(actor.Issuer) + "|" + actors[i]
		}
	}
	return strings.Join(actors, ",")
}

func keyIDPart(text string, most int) string { return cut(percent(text), most) }

// percent encodes what sshd, or a reader of its log, could take for something
// else: all but letters, digits and a few signs that mean nothing there.
func percent(text string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._@:/+", c) >= 0:
			out.WriteByte(c)
		default:
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return out.String()
}

// cut bounds an encoded text. What was cut ends in ~ and the beginning of the
// whole's digest, so that two long names with one beginning differ.
func cut(encoded string, most int) string {
	if len(encoded) <= most {
		return encoded
	}
	sum := sha256.Sum256([]byte(encoded))
	tail := "~" + hex.EncodeToString(sum[:8])
	kept := encoded[:most-len(tail)]
	// No half of an encoded byte.
	if i := strings.LastIndexByte(kept, '%'); i > len(kept)-3 && i >= 0 {
		kept = kept[:i]
	}
	return kept + tail
}
