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
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testcert"
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

// forgetfulProcess serves without a record.
type forgetfulProcess struct {
	command  *exec.Cmd
	port, ca string
}

// startForgetful serves the shop's Connection, as its snapshot describes it now.
func startForgetful(ctx context.Context, s *stack.Stack) (*forgetfulProcess, error) {
	taken, err := takeSnapshot(ctx, s)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir, "forgetful")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	authority, err := testcert.NewCA("doorward-bench")
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue(testcert.Request{CommonName: "localhost", IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		return nil, err
	}
	if _, _, err := pair.Write(dir, "tls"); err != nil {
		return nil, err
	}
	credential := map[string][]byte{}
	for key, value := range s.CredentialSecret("", stack.Connection, s.Canary).StringData {
		credential[key] = []byte(value)
	}
	content, err := json.Marshal(forgetfulSpec{Snapshot: taken, Credential: credential, Certificates: dir, Groups: []string{"analysts"}})
	if err != nil {
		return nil, fmt.Errorf("cannot encode a snapshot: %w", err)
	}
	specPath, ca := filepath.Join(dir, "spec.json"), filepath.Join(dir, "ca.crt")
	if err := errors.Join(os.WriteFile(specPath, content, 0o600), os.WriteFile(ca, authority.PEM, 0o600)); err != nil {
		return nil, fmt.Errorf("cannot write what to serve: %w", err)
	}
	command, port, err := startSelf(ctx, "--forgetful="+specPath)
	if err != nil {
		return nil, err
	}
	return &forgetfulProcess{command: command, port: port, ca: ca}, nil
}

func (f *forgetfulProcess) stop() error {
	err := f.command.Process.Kill()
	_ = f.command.Wait() // killed
	return err
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
