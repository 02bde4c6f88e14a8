// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/sinks"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testcert"
)

// webhookSink is the name of the remote LogSink.
const webhookSink = "webhook"

// startReceiver runs the example receiver of webhooks, which answers once what
// it got is synced to a file, and makes it a LogSink.
func startReceiver(ctx context.Context, s *stack.Stack) (process *proc.Process, err error) {
	dir := filepath.Join(s.Dir, "receiver")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the receiver's folder: %w", err)
	}
	program, err := sinks.Build(ctx, "webhookreceiver")
	if err != nil {
		return nil, err
	}
	authority, err := testcert.NewCA("doorward-bench-webhook")
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue(testcert.Request{CommonName: "receiver", IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		return nil, err
	}
	certificate, key, err := pair.Write(dir, "server")
	if err != nil {
		return nil, err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	signing, secrets := "whsec_"+base64.StdEncoding.EncodeToString(random), filepath.Join(dir, "secrets")
	if err := os.WriteFile(secrets, []byte(signing), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the receiver's secret: %w", err)
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(proc.Loopback, strconv.Itoa(port))
	if process, err = proc.Start(proc.Command{
		Path:   program,
		Args:   []string{"-listen", address, "-cert", certificate, "-key", key, "-secrets", secrets, "-out", filepath.Join(dir, "records.jsonl")},
		Output: filepath.Join(s.Logs(), "receiver.log"),
	}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, process.Stop())
		}
	}()
	waiting, cancel := context.WithTimeout(ctx, stack.ReadyTimeout)
	defer cancel()
	if err := process.WaitReady(waiting, 10*time.Millisecond, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.OperatorNamespace, Name: webhookSink}, Type: "doorward.dev/sink-credential",
		StringData: map[string]string{"signingKey": signing},
	}
	sink := &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: webhookSink}, Spec: v1alpha1.LogSinkSpec{
		Type: v1alpha1.LogSinkWebhook, Secret: &v1alpha1.SinkSecretReference{Name: webhookSink},
		TLS:     &v1alpha1.SinkTLS{CertificateAuthority: string(authority.PEM)},
		Webhook: &v1alpha1.WebhookSink{URL: "https://" + address + "/records"},
	}}
	if err := errors.Join(s.Admin.Create(ctx, secret), s.Admin.Create(ctx, sink)); err != nil {
		return nil, fmt.Errorf("cannot make the LogSink: %w", err)
	}
	return process, nil
}
