// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SecretName is the Secret of the authority, in the operator's namespace.
const SecretName = "doorward-ca"

// The keys of the authority's Secret.
const (
	keyCurrentCertificate = "tls.crt"
	keyCurrentKey         = "tls.key"
	keyNextCertificate    = "next.crt"
	keyNextKey            = "next.key"
	keyPrevious           = "previous.crt"
)

// How often the authority's Secret is looked at, and how soon again after an error.
const (
	checkEvery = time.Hour
	checkAgain = 5 * time.Second
)

// Store keeps the authority in its Secret and rotates it. The client must read
// Secrets from the API server, not from a cache.
type Store struct {
	client      client.Client
	key         types.NamespacedName
	constraints Constraints
	now         func() time.Time
	changed     func(ctx context.Context, bundle []byte) error

	mu sync.Mutex // orders reads and writes of the Secret
	// expiry is when the current certificate ends, in Unix seconds; 0 before it
	// was read.
	expiry atomic.Int64
}

// NewStore makes a Store. changed is called with the bundle when Start begins and
// when the authority rotated, again until it returns no error; it may be nil.
func NewStore(c client.Client, namespace string, constraints Constraints, changed func(ctx context.Context, bundle []byte) error) *Store {
	return &Store{
		client: c, key: types.NamespacedName{Namespace: namespace, Name: SecretName},
		constraints: constraints, now: time.Now, changed: changed,
	}
}

// Constraints returns what may be signed.
func (s *Store) Constraints() Constraints { return s.constraints }

// State reads the authority, making or rotating it where that is due.
func (s *Store) State(ctx context.Context) (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var secret corev1.Secret
	err := s.client.Get(ctx, s.key, &secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return State{}, fmt.Errorf("cannot read certificate authority: %w", err)
	}
	state, changed, err := Advance(decodeState(secret.Data), s.constraints, s.now())
	if err != nil {
		return State{}, fmt.Errorf("cannot read certificate authority: Secret %q in namespace %q: %w", s.key.Name, s.key.Namespace, err)
	}
	s.note(state)
	if !changed {
		return state, nil
	}
	// Create and Update, not apply: of two managers that rotate at once, one
	// must fail and read again.
	secret.Data = encodeState(state)
	if missing {
		secret.ObjectMeta = metav1.ObjectMeta{Name: s.key.Name, Namespace: s.key.Namespace}
		err = s.client.Create(ctx, &secret)
	} else {
		err = s.client.Update(ctx, &secret)
	}
	if err != nil {
		return State{}, fmt.Errorf("cannot write certificate authority: %w", err)
	}
	return state, nil
}

// Start rotates the authority until the context ends.
func (s *Store) Start(ctx context.Context) error {
	told := ""
	for {
		wait := checkEvery
		if err := s.check(ctx, &told); err != nil && ctx.Err() == nil {
			logr.FromContextOrDiscard(ctx).Error(err, "Cannot check the certificate authority")
			wait = checkAgain
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (s *Store) check(ctx context.Context, told *string) error {
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	bundle := state.Bundle()
	if s.changed == nil || string(bundle) == *told {
		return nil
	}
	if err := s.changed(ctx, bundle); err != nil {
		return err
	}
	*told = string(bundle)
	return nil
}

// NeedLeaderElection makes the manager run Start on the leader only.
func (s *Store) NeedLeaderElection() bool { return true }

// note keeps when the current certificate ends.
func (s *Store) note(state State) {
	if all := certificates(state.Current.Certificate); len(all) > 0 {
		s.expiry.Store(all[0].NotAfter.Unix())
	}
}

// Expiry is when the authority's current certificate ends; zero before it was
// read. It waits for nobody.
func (s *Store) Expiry() time.Time {
	seconds := s.expiry.Load()
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

func decodeState(data map[string][]byte) State {
	return State{
		Current:  Pair{Certificate: data[keyCurrentCertificate], Key: data[keyCurrentKey]},
		Next:     Pair{Certificate: data[keyNextCertificate], Key: data[keyNextKey]},
		Previous: data[keyPrevious],
	}
}

func encodeState(s State) map[string][]byte {
	data := map[string][]byte{keyCurrentCertificate: s.Current.Certificate, keyCurrentKey: s.Current.Key}
	if len(s.Next.Key) > 0 {
		data[keyNextCertificate], data[keyNextKey] = s.Next.Certificate, s.Next.Key
	}
	if len(s.Previous) > 0 {
		data[keyPrevious] = s.Previous
	}
	return data
}
