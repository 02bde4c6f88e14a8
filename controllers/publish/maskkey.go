// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/proxy/snapshot"
)

// MaskKeySecretName is the Secret that the keys of masks are derived from, in
// the operator's namespace.
const MaskKeySecretName = "doorward-mask-key" //nolint:gosec // a name, not a credential

// maskSecret is the key of the Secret that holds MaskKeySize random bytes.
const maskSecret = "mask.secret"

// maskContext begins what names a derived key (HKDF's info, RFC 5869).
const maskContext = "doorward.dev/mask/v1\n"

// MaskKeys derives the keys of masks. It prints [redacted].
type MaskKeys struct{ secret snapshot.MaskKey }

// Format says nothing of the secret, whatever the verb.
func (MaskKeys) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("[redacted]")) }

// LoadMaskKeys reads the secret, making it once if there is none. One that is
// there and cannot be read is an error and never replaced: with another, masked
// values could not be compared any more with those that were given out.
func LoadMaskKeys(ctx context.Context, c client.Client, namespace string) (*MaskKeys, error) {
	found, err := madeOnce(ctx, c, types.NamespacedName{Namespace: namespace, Name: MaskKeySecretName}, maskSecret, snapshot.MaskKeySize)
	if err != nil {
		return nil, fmt.Errorf("cannot read the secret of masks: %w", err)
	}
	secret, err := snapshot.NewMaskKey(found)
	if err != nil {
		return nil, errors.New("cannot read the secret of masks: Secret " + namespace + "/" + MaskKeySecretName +
			" does not hold it: restore it, or delete it and have masked values change")
	}
	return &MaskKeys{secret: secret}, nil
}

// For derives the key of one Connection by its UID: HKDF with SHA-256 (RFC 5869).
// The key of one Connection says nothing of another's.
func (k *MaskKeys) For(uid types.UID) (snapshot.MaskKey, error) {
	if uid == "" {
		return snapshot.MaskKey{}, errors.New("cannot derive the key of masks: the Connection has no UID")
	}
	secret := k.secret.Bytes()
	derived, err := hkdf.Key(sha256.New, secret[:], nil, maskContext+string(uid), snapshot.MaskKeySize)
	if err != nil {
		return snapshot.MaskKey{}, fmt.Errorf("cannot derive the key of masks: %w", err)
	}
	return snapshot.NewMaskKey(derived)
}
