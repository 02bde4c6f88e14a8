// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/witness"
)

// KeySecretName is the Secret of the witness's key, in the operator's namespace.
const KeySecretName = "doorward-witness-key"

// RotateAnnotation is the annotation of the Secret that asks, with any value, for
// the next key now. The manager removes it together with the former key.
const RotateAnnotation = "doorward.dev/rotate"

// The keys of the Secret: the ed25519 seed (RFC 8032) in force, and the JSON of
// the witness.Chain, of which the first is that seed's.
const (
	keySeed  = "ed25519.seed"
	keyChain = "chain.json"
)

const (
	// keyMaxAge is the age at which the witness's key is replaced.
	keyMaxAge = 365 * 24 * time.Hour
	// keyCheckEvery is how often the Secret is looked at, and the publication repaired.
	keyCheckEvery = 15 * time.Second
)

// Keys are the witness's own: kept in a Secret, replaced once a year or when
// RotateAnnotation says so, and published in a ConfigMap. Only the leading manager may use them.
type Keys struct {
	client    client.Client
	namespace string
	now       func() time.Time

	mu      sync.Mutex // guards what follows
	signer  note.Signer
	all     note.Verifiers
	checked time.Time
}

// NewKeys makes Keys. The client must read Secrets and ConfigMaps from the API
// server, not from a cache.
func NewKeys(c client.Client, namespace string) *Keys {
	return &Keys{client: c, namespace: namespace, now: time.Now}
}

// Signer is the key in force, and the verifiers of all keys that vouch for each
// other with it. It makes the key where there is none.
func (k *Keys) Signer(ctx context.Context) (note.Signer, note.Verifiers, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.signer != nil && k.now().Sub(k.checked) < keyCheckEvery {
		return k.signer, k.all, nil
	}
	chain, signer, err := k.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err := chain.Verifiers(chain[0].Verifier)
	if err != nil {
		return nil, nil, err
	}
	// Published before it is used, so that what it signed can be verified.
	if err := k.publish(ctx, chain); err != nil {
		return nil, nil, err
	}
	k.signer, k.all, k.checked = signer, all, k.now()
	return signer, all, nil
}

// load reads the Secret, and makes or replaces the key where that is due. A key
// that is there and cannot be read is an error and never replaced.
func (k *Keys) load(ctx context.Context) (witness.Chain, note.Signer, error) {
	var secret corev1.Secret
	err := k.client.Get(ctx, types.NamespacedName{Namespace: k.namespace, Name: KeySecretName}, &secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return nil, nil, fmt.Errorf("cannot read the witness's key: %w", err)
	}
	var chain witness.Chain
	var signer note.Signer
	if missing {
		chain, err = k.former(ctx)
	} else {
		chain, signer, err = decodeKeys(&secret)
	}
	if err != nil {
		return nil, nil, err
	}
	_, asked := secret.Annotations[RotateAnnotation]
	if signer != nil && !asked && k.now().Sub(chain[0].Since) < keyMaxAge {
		return chain, signer, nil
	}
	return k.next(ctx, &secret, missing, chain, signer)
}

// next makes a key that the one in force, if there is one, certifies.
func (k *Keys) next(ctx context.Context, secret *corev1.Secret, missing bool, chain witness.Chain, old note.Signer) (witness.Chain, note.Signer, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, nil, fmt.Errorf("cannot make the witness's key: %w", err)
	}
	signer, verifier, err := witness.NewKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, nil, err
	}
	if chain, err = chain.Rotate(old, signer, verifier, k.now()); err != nil {
		return nil, nil, err
	}
	encoded, err := chain.Encode()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot keep the witness's key: %w", err)
	}
	secret.Data = map[string][]byte{keySeed: seed, keyChain: encoded}
	delete(secret.Annotations, RotateAnnotation)
	// Create and Update, not apply: of two managers that do this at once, one
	// must fail and read again.
	if missing {
		secret.ObjectMeta = metav1.ObjectMeta{
			Name: KeySecretName, Namespace: k.namespace,
			Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
		}
		err = k.client.Create(ctx, secret)
	} else {
		err = k.client.Update(ctx, secret)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot keep the witness's key: %w", err)
	}
	return chain, signer, nil
}

// former is what was published before the Secret was lost: nothing certifies
// the next key, but what the former ones signed can still be verified.
func (k *Keys) former(ctx context.Context) (witness.Chain, error) {
	var published corev1.ConfigMap
	err := k.client.Get(ctx, types.NamespacedName{Namespace: k.namespace, Name: witness.KeysConfigMapName}, &published)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the witness's published keys: %w", err)
	}
	chain, err := witness.DecodeChain([]byte(published.Data[witness.KeysChain]))
	if err != nil {
		return nil, fmt.Errorf("cannot read the witness's published keys: ConfigMap %q in namespace %q: restore it, or delete it and have nobody trust the former keys: %w",
			witness.KeysConfigMapName, k.namespace, err)
	}
	return chain, nil
}

func (k *Keys) publish(ctx context.Context, chain witness.Chain) error {
	encoded, err := chain.Encode()
	if err != nil {
		return fmt.Errorf("cannot publish the witness's keys: %w", err)
	}
	return kit.Apply(ctx, k.client, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: witness.KeysConfigMapName, Namespace: k.namespace,
			Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
		},
		Data: map[string]string{witness.KeysVerifier: chain[0].Verifier, witness.KeysChain: string(encoded)},
	})
}

func decodeKeys(secret *corev1.Secret) (witness.Chain, note.Signer, error) {
	unusable := func(cause error) error {
		return fmt.Errorf("cannot read the witness's key: Secret %q in namespace %q: restore it, or delete it, after which nothing certifies the next key: %w",
			secret.Name, secret.Namespace, cause)
	}
	seed := secret.Data[keySeed]
	if len(seed) != ed25519.SeedSize {
		return nil, nil, unusable(errors.New("no ed25519 seed"))
	}
	signer, verifier, err := witness.NewKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, nil, unusable(err)
	}
	chain, err := witness.DecodeChain(secret.Data[keyChain])
	if err != nil {
		return nil, nil, unusable(err)
	}
	if chain[0].Verifier != verifier {
		return nil, nil, unusable(errors.New("seed and list of keys do not belong together"))
	}
	return chain, signer, nil
}
