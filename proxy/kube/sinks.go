// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/proxy/snapshot"
)

// SinkSecrets keeps the credentials of one Connection's LogSinks in memory, as
// the Secret that the manager copies them to holds them at present. The Secret
// is followed while a sink of the snapshot in force has credentials. While the
// API server is away, the last ones stay.
type SinkSecrets struct {
	Client          *Client
	Namespace, Name string
	// Changed is called after other credentials are there, or none any more.
	Changed func()

	mu     sync.Mutex // guards what follows
	wanted bool
	keys   map[string][]byte
	why    error // why there are no keys
	turn   chan struct{}
}

// NewSinkSecrets makes a source that knows nothing yet, for the Connection of a
// name.
func NewSinkSecrets(client *Client, namespace, name string, changed func()) *SinkSecrets {
	s := &SinkSecrets{Client: client, Namespace: namespace, Name: name, Changed: changed, turn: make(chan struct{}, 1)}
	s.why = s.missing("has not been read yet")
	return s
}

func (s *SinkSecrets) missing(what string) error {
	return fmt.Errorf("secret %q of namespace %q, with the credentials of LogSinks, %s", snapshot.SinkSecretName(s.Name), s.Namespace, what)
}

// Applied tells whether the Secret is wanted from now on.
func (s *SinkSecrets) Applied(applied *snapshot.Snapshot) {
	wanted := slices.ContainsFunc(applied.Sinks, func(sink snapshot.Sink) bool { return sink.Secret })
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanted == s.wanted {
		return
	}
	s.wanted = wanted
	if !wanted {
		s.keys, s.why = nil, s.missing("has not been read yet")
	}
	replace(s.turn, struct{}{})
}

// Run follows the Secret while it is wanted, until ctx ends.
func (s *SinkSecrets) Run(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		wanted := s.wanted
		s.mu.Unlock()
		following, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if wanted {
				s.follow(following)
			}
		}()
		select {
		case <-s.turn:
		case <-ctx.Done():
		}
		cancel()
		<-done
	}
}

func (s *SinkSecrets) follow(ctx context.Context) {
	follow := s.Client.watchSecret(s.Namespace, snapshot.SinkSecretName(s.Name), s.put)
	follow.failed = s.failed
	follow.run(ctx)
}

// put takes the Secret's content; nil where it is missing.
func (s *SinkSecrets) put(secret *corev1.Secret) {
	s.mu.Lock()
	if !s.wanted {
		s.mu.Unlock()
		return
	}
	before := s.keys
	if secret == nil {
		s.keys, s.why = nil, s.missing("does not exist: look at the conditions of the LogSinks")
	} else {
		s.keys, s.why = maps.Clone(secret.Data), nil
		if s.keys == nil {
			s.keys = map[string][]byte{}
		}
	}
	same := reflect.DeepEqual(before, s.keys)
	s.mu.Unlock()
	if !same {
		s.Changed()
	}
}

// failed is told why nothing arrives.
func (s *SinkSecrets) failed(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.why = s.missing("cannot be read: " + err.Error())
	}
}

// Get returns the credentials of a LogSink by their keys in its own Secret. An
// error says which Secret is missing.
func (s *SinkSecrets) Get(sink string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		return nil, s.why
	}
	keys := map[string][]byte{}
	for name, value := range s.keys {
		if key, found := strings.CutPrefix(name, snapshot.SinkSecretKey(sink, "")); found {
			keys[key] = slices.Clone(value)
		}
	}
	return keys, nil
}
