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

// SecretName is the Secret of the authority of serving certificates, HostSecretName that
// of the authority of SSH host certificates, both in the operator's namespace.
const (
	SecretName     = "doorward-ca"
	HostSecretName = "doorward-ssh-host-ca" //nolint:gosec // a name, not a credential
)

// layout says which authority a Secret holds, and under which keys.
type layout struct {
	secret string
	// what it is called in errors and logs.
	what                                                               string
	currentCertificate, currentKey, nextCertificate, nextKey, previous string
	form                                                               form
}

var (
	servingLayout = layout{
		secret: SecretName, what: "certificate authority", form: x509Form,
		currentCertificate: "tls.crt", currentKey: "tls.key", nextCertificate: "next.crt", nextKey: "next.key", previous: "previous.crt",
	}
	hostLayout = layout{
		secret: HostSecretName, what: "SSH host authority", form: hostForm,
		currentCertificate: "known_hosts", currentKey: "ssh-privatekey",
		nextCertificate: "next.known_hosts", nextKey: "next.ssh-privatekey", previous: "previous.known_hosts",
	}
)

// How often the authority's Secret is looked at, and how soon again after an error.
const (
	checkEvery = time.Hour
	checkAgain = 5 * time.Second
)

// Store keeps an authority in its Secret and rotates it. The client must read
// Secrets from the API server, not from a cache.
type Store struct {
	client      client.Client
	layout      layout
	key         types.NamespacedName
	constraints Constraints
	now         func() time.Time
	changed     func(ctx context.Context, bundle []byte) error

	mu sync.Mutex // orders reads and writes of the Secret
	// expiry is when the current certificate ends, in Unix seconds; 0 before it
	// was read.
	expiry atomic.Int64
}

// NewStore makes the Store of the authority of serving certificates. changed is called with the bundle when Start begins and
// when the authority rotated, again until it returns no error; it may be nil.
func NewStore(c client.Client, namespace string, constraints Constraints, changed func(ctx context.Context, bundle []byte) error) *Store {
	return newStore(c, servingLayout, namespace, constraints, changed)
}

// NewHostStore makes the Store of the authority of SSH host certificates, likewise. Its
// bundle is the lines of known_hosts by which callers trust it.
func NewHostStore(c client.Client, namespace string, constraints Constraints, changed func(ctx context.Context, bundle []byte) error) *Store {
	return newStore(c, hostLayout, namespace, constraints, changed)
}

func newStore(c client.Client, l layout, namespace string, constraints Constraints, changed func(ctx context.Context, bundle []byte) error) *Store {
	return &Store{
		client: c, layout: l, key: types.NamespacedName{Namespace: namespace, Name: l.secret},
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
		return State{}, fmt.Errorf("cannot read %s: %w", s.layout.what, err)
	}
	state, changed, err := s.layout.form.advance(s.layout.decode(secret.Data), s.constraints, s.now())
	if err != nil {
		return State{}, fmt.Errorf("cannot read %s: Secret %q in namespace %q: %w", s.layout.what, s.key.Name, s.key.Namespace, err)
	}
	s.note(state)
	if !changed {
		return state, nil
	}
	// Create and Update, not apply: of two managers that rotate at once, one
	// must fail and read again.
	secret.Data = s.layout.encode(state)
	if missing {
		secret.ObjectMeta = metav1.ObjectMeta{Name: s.key.Name, Namespace: s.key.Namespace}
		err = s.client.Create(ctx, &secret)
	} else {
		err = s.client.Update(ctx, &secret)
	}
	if err != nil {
		return State{}, fmt.Errorf("cannot write %s: %w", s.layout.what, err)
	}
	return state, nil
}

// Start rotates the authority until the context ends.
func (s *Store) Start(ctx context.Context) error {
	told := ""
	for {
		wait := checkEvery
		if err := s.check(ctx, &told); err != nil && ctx.Err() == nil {
			logr.FromContextOrDiscard(ctx).Error(err, "Cannot check the "+s.layout.what)
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
	if current, err := s.layout.form.load(state.Current); err == nil {
		s.expiry.Store(current.ends.Unix())
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

func (l layout) decode(data map[string][]byte) State {
	return State{
		Current:  Pair{Certificate: data[l.currentCertificate], Key: data[l.currentKey]},
		Next:     Pair{Certificate: data[l.nextCertificate], Key: data[l.nextKey]},
		Previous: data[l.previous],
	}
}

func (l layout) encode(s State) map[string][]byte {
	data := map[string][]byte{l.currentCertificate: s.Current.Certificate, l.currentKey: s.Current.Key}
	if len(s.Next.Key) > 0 {
		data[l.nextCertificate], data[l.nextKey] = s.Next.Certificate, s.Next.Key
	}
	if len(s.Previous) > 0 {
		data[l.previous] = s.Previous
	}
	return data
}
