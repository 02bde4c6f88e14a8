// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
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
	// keysCheck is how often the leader looks whether a key is due, keysAgain how soon
	// after an error.
	keysCheck = 10 * time.Minute
	keysAgain = 5 * time.Second
)

// KeyStore keeps the portal's keys in their Secret. The client must read Secrets from the
// API server, not from a cache.
type KeyStore struct {
	client  client.Client
	name    types.NamespacedName
	now     func() time.Time
	changed func()

	mu     sync.Mutex // guards the rest
	keys   *Keys
	readAt time.Time
}

// NewKeyStore makes a KeyStore. changed, which may be nil, is called where Start has made
// or dropped a key: snapshots then need other public keys.
func NewKeyStore(c client.Client, namespace string, changed func()) *KeyStore {
	return &KeyStore{client: c, name: types.NamespacedName{Namespace: namespace, Name: SecretName}, now: time.Now, changed: changed}
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

// Advance makes keys that are missing and replaces those that are due.
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
	if err != nil || !changed {
		return err
	}
	encoded, err := json.Marshal(r) //nolint:gosec // keys, into their Secret
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
	if s.changed != nil {
		s.changed()
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

// PublicKeys are the keys that GatewayCredentials in force may be signed by, each a
// SubjectPublicKeyInfo in DER, for the snapshots of proxies; none where there never was a
// portal. The reader must read Secrets from the API server, not from a cache.
func PublicKeys(ctx context.Context, reader client.Reader, namespace string) ([][]byte, error) {
	secret, r, err := readRing(ctx, reader, types.NamespacedName{Namespace: namespace, Name: SecretName})
	if err != nil || secret == nil {
		return nil, err
	}
	var all [][]byte
	for _, one := range r.Signing {
		key, err := signingKeyOf(one.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot read login keys: %w", err)
		}
		der, err := publicDER(&key.PublicKey)
		if err != nil {
			return nil, err
		}
		all = append(all, der)
	}
	if len(all) == 0 {
		return nil, errors.New("cannot read login keys: there is no signing key")
	}
	return all, nil
}

func publicDER(key *ecdsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a login key: %w", err)
	}
	return der, nil
}
