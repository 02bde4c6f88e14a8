// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/kit"
)

// KeySecretName is the Secret of the signing key, in the operator's namespace.
const KeySecretName = "doorward-snapshot-key"

// keySeed is the key of the Secret that holds the ed25519 seed (RFC 8032).
const keySeed = "ed25519.seed"

// LoadKey reads the signing key, making it once if there is none. A key that is
// there and cannot be read is an error and never replaced: every enrolled proxy
// would have to be enrolled anew.
func LoadKey(ctx context.Context, c client.Client, namespace string) (ed25519.PrivateKey, error) {
	seed, err := madeOnce(ctx, c, types.NamespacedName{Namespace: namespace, Name: KeySecretName}, keySeed, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read snapshot key: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("cannot read snapshot key: Secret " + namespace + "/" + KeySecretName +
			" holds no ed25519 seed: restore it, or delete it and enrol every External proxy anew")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// madeOnce reads what a Secret holds under a key. Where there is no Secret, it is
// made with random bytes; one that is there is never changed.
func madeOnce(ctx context.Context, c client.Client, name types.NamespacedName, key string, size int) ([]byte, error) {
	var secret corev1.Secret
	err := c.Get(ctx, name, &secret)
	if apierrors.IsNotFound(err) {
		made := make([]byte, size)
		_, _ = rand.Read(made) // never fails on supported platforms (Go 1.24)
		secret = corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Name: name.Name, Namespace: name.Namespace,
				Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
			},
			Data: map[string][]byte{key: made},
		}
		err = c.Create(ctx, &secret)
		if apierrors.IsAlreadyExists(err) { // another manager was first
			err = c.Get(ctx, name, &secret)
		}
	}
	return secret.Data[key], err
}

// EncodePublic is the form in which proxies take the public key.
func EncodePublic(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(public(key))
}

// public is the public half, which the private key ends with (RFC 8032).
func public(key ed25519.PrivateKey) ed25519.PublicKey {
	return key.Public().(ed25519.PublicKey) //nolint:errcheck // crypto/ed25519 returns no other type
}
