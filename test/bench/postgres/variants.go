// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

// allow lets the caller read and update pgbench's tables through Connections,
// and waits until their proxies know.
func allow(ctx context.Context, s *stack.Stack, connections ...string) error {
	var list strings.Builder
	for _, name := range connections {
		fmt.Fprintf(&list, "\n  - name: %s", name)
	}
	if err := s.Apply(ctx, strings.Replace(policyManifest, " ${CONNECTIONS}", list.String(), 1)); err != nil {
		return err
	}
	for _, name := range connections {
		if err := s.AwaitPolicy(ctx, name, "bench"); err != nil {
			return err
		}
	}
	return nil
}

// variants makes Connections to the same target that differ in spec.audit
// alone, and a proxy for each.
func (a *auditRun) variants(ctx context.Context, all []variant) ([]path, error) {
	s := a.stack
	var shop v1alpha1.Connection
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: stack.Connection}, &shop); err != nil {
		return nil, fmt.Errorf("cannot read Connection %q: %w", stack.Connection, err)
	}
	paths := make([]path, len(all))
	for i, v := range all {
		port, err := proc.FreePort(ctx)
		if err != nil {
			return nil, err
		}
		connection := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: v.connection}, Spec: *shop.Spec.DeepCopy()}
		connection.Spec.Audit = &v.settings
		connection.Spec.Credential.Secret.Name = v.connection + "-credential"
		connection.Spec.Proxy.External.Port = int32(port)
		if err := errors.Join(
			s.Admin.Create(ctx, s.CredentialSecret(v.connection+"-credential", v.connection, s.Canary)),
			s.Admin.Create(ctx, connection),
		); err != nil {
			return nil, fmt.Errorf("cannot make Connection %q: %w", v.connection, err)
		}
		p, err := s.StartProxy(ctx, stack.ProxyOptions{Connection: v.connection, Pprof: true})
		if err != nil {
			return nil, err
		}
		if err := s.WaitReady(ctx, v.connection); err != nil {
			return nil, err
		}
		if i == 0 {
			a.last = p
		}
		paths[i] = a.proxied(v.name, p)
		a.names = append(a.names, v.connection)
	}
	return paths, allow(ctx, s, a.names...)
}

// startForgetful serves the shop's Connection, as its snapshot describes it now,
// without a record.
func startForgetful(ctx context.Context, s *stack.Stack, p *place) (path, error) {
	taken, err := takeSnapshot(ctx, s)
	if err != nil {
		return path{}, err
	}
	return p.serve(ctx, noRecord, partialSpec{Snapshot: taken, Log: logEncode})
}

// takeSnapshot reads the snapshot that the manager published for the shop.
func takeSnapshot(ctx context.Context, s *stack.Stack) (*snapshot.Snapshot, error) {
	var secret corev1.Secret
	name := "doorward-" + stack.Connection + "-snapshot"
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: name}, &secret); err != nil {
		return nil, fmt.Errorf("cannot read the snapshot: %w", err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(secret.Data[snapshot.KeySnapshot]))
	if err != nil {
		return nil, fmt.Errorf("cannot read the snapshot: %w", err)
	}
	var taken snapshot.Snapshot
	if err := json.NewDecoder(unpacked).Decode(&taken); err != nil {
		return nil, fmt.Errorf("cannot read the snapshot: %w", err)
	}
	if len(taken.IdentityProviders) == 0 {
		return nil, errors.New("cannot use the snapshot: it names no IdentityProvider")
	}
	return &taken, nil
}
