// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
)

// SecretName is the Secret of the portal's keys, in the manager's namespace.
const SecretName = "doorward-login-key"

// secretKey is the key of that Secret.
const secretKey = "keys.json"

const (
	// keysFresh is how long keys are used before the Secret is read again: well below
	// what a new key waits before it is used.
	keysFresh = time.Minute
	// keysCheck is how often the leader looks whether a key is due and whether the
	// ConfigMap is what it has to be, keysAgain how soon after an error.
	keysCheck = time.Minute
	keysAgain = 5 * time.Second
)

// KeyStore keeps the portal's keys in their Secret, and the public ones in a ConfigMap. The
// client must read both from the API server, not from a cache.
type KeyStore struct {
	client client.Client
	name   types.NamespacedName
	now    func() time.Time

	mu     sync.Mutex // guards the rest
	keys   *Keys
	readAt time.Time
}

// NewKeyStore makes a KeyStore.
func NewKeyStore(c client.Client, namespace string) *KeyStore {
	return &KeyStore{client: c, name: types.NamespacedName{Namespace: namespace, Name: SecretName}, now: time.Now}
}

// Keys are the keys in force. They are made by the leader: before, there are none.
func (s *KeyStore) Keys(ctx context.Context) (*Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.keys != nil && now.Sub(s.readAt) < keysFresh {
		return s.keys, nil
	}
	secret, r, err := readRing(ctx, s.client, s.name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, fmt.Errorf("cannot read login keys: Secret %q is not there yet: the leader among the managers makes it", s.name)
	}
	keys, err := r.parse(now)
	if err != nil {
		return nil, s.damaged(err)
	}
	s.keys, s.readAt = keys, now
	return keys, nil
}

func (s *KeyStore) damaged(err error) error {
	return fmt.Errorf("cannot read login keys: Secret %q: %w: restore it, or delete it, after which everybody has to log in again", s.name, err)
}

// Start makes and rotates the keys until the context ends.
func (s *KeyStore) Start(ctx context.Context) error {
	for {
		wait := keysCheck
		if err := s.Advance(ctx); err != nil && ctx.Err() == nil {
			logr.FromContextOrDiscard(ctx).Error(err, "Cannot check the login keys")
			wait = keysAgain
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// NeedLeaderElection makes the manager run Start on the leader only.
func (s *KeyStore) NeedLeaderElection() bool { return true }

// Advance makes keys that are missing, replaces those that are due, and publishes them.
func (s *KeyStore) Advance(ctx context.Context) error {
	secret, r, err := readRing(ctx, s.client, s.name)
	if err != nil {
		return err
	}
	if secret != nil {
		if _, err := r.parse(s.now()); err != nil && len(r.Signing)+len(r.Sealing) > 0 && len(r.SAML) > 0 {
			return s.damaged(err)
		}
	}
	r, changed, err := advance(r, s.now())
	if err != nil {
		return err
	}
	if changed {
		if err := s.write(ctx, secret, &r); err != nil {
			return err
		}
	}
	return s.publish(ctx, &r)
}

// write keeps keys in the Secret; nil where there is none yet.
func (s *KeyStore) write(ctx context.Context, secret *corev1.Secret, r *ring) error {
	encoded, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot encode login keys: %w", err)
	}
	// Create and Update, not apply: of two managers at once, one must fail and read again.
	if secret == nil {
		err = s.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Name: s.name.Name, Namespace: s.name.Namespace,
				Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
			},
			Data: map[string][]byte{secretKey: encoded},
		})
	} else {
		secret.Data = map[string][]byte{secretKey: encoded}
		err = s.client.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("cannot write login keys: %w", err)
	}
	return nil
}

// publish writes the public keys, unless they are there.
func (s *KeyStore) publish(ctx context.Context, r *ring) error {
	keys, err := r.public()
	if err != nil {
		return s.damaged(err)
	}
	var text bytes.Buffer
	for _, der := range keys {
		if err := pem.Encode(&text, &pem.Block{Type: "PUBLIC KEY", Bytes: der}); err != nil {
			return fmt.Errorf("cannot encode a login key: %w", err)
		}
	}
	if err := kit.Apply(ctx, s.client, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: compile.LoginKeysName, Namespace: s.name.Namespace,
			Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
		},
		Data: map[string]string{compile.LoginKeysKey: text.String()},
	}); err != nil {
		return fmt.Errorf("cannot publish login keys: %w", err)
	}
	return nil
}

// readRing reads the Secret; nil where there is none.
func readRing(ctx context.Context, c client.Reader, name types.NamespacedName) (*corev1.Secret, ring, error) {
	secret := &corev1.Secret{}
	err := c.Get(ctx, name, secret)
	if apierrors.IsNotFound(err) {
		return nil, ring{}, nil
	}
	if err != nil {
		return nil, ring{}, fmt.Errorf("cannot read login keys: %w", err)
	}
	r, err := decodeRing(secret.Data[secretKey])
	if err != nil {
		return nil, ring{}, fmt.Errorf("cannot read login keys: Secret %q, key %q: %w", name, secretKey, err)
	}
	return secret, r, nil
}

// public are the public halves of the signing keys.
func (r *ring) public() ([][]byte, error) {
	if len(r.Signing) == 0 {
		return nil, errors.New("there is no signing key")
	}
	all := make([][]byte, 0, len(r.Signing))
	for _, one := range r.Signing {
		key, err := signingKeyOf(one.Key)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("cannot encode a login key: %w", err)
		}
		all = append(all, der)
	}
	return all, nil
}
