// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/servers"
	"github.com/doorward/doorward/test/testcert"
)

// Receiver is a server of somebody else's that takes webhooks: the example
// receiver of the documentation, which answers once what it got is on its disk.
type Receiver struct {
	// Name is that of its LogSink and of the Secret behind it.
	Name string
	// Records is the file that it keeps the records in.
	Records string
	// Secret signs what is sent to it.
	Secret string

	stack   *Stack
	address string
	ca      string
	command proc.Command
	process *proc.Process
}

// StartReceiver starts a receiver. Nothing is sent to it before Install.
func (s *Stack) StartReceiver(ctx context.Context, name string) (*Receiver, error) {
	dir := filepath.Join(s.Dir, "receivers", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the receiver's folder: %w", err)
	}
	program, err := servers.Build(ctx, "sinks/webhookreceiver")
	if err != nil {
		return nil, err
	}
	authority, err := testcert.NewCA("doorward-" + name)
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue(testcert.Request{CommonName: name, IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		return nil, err
	}
	certificate, key, err := pair.Write(dir, "server")
	if err != nil {
		return nil, err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	r := &Receiver{
		Name: name, Records: filepath.Join(dir, "records.jsonl"), Secret: "whsec_" + base64.StdEncoding.EncodeToString(random),
		stack: s, ca: string(authority.PEM),
	}
	secrets := filepath.Join(dir, "secrets")
	if err := os.WriteFile(secrets, []byte(r.Secret), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the receiver's secret: %w", err)
	}
	if r.address, err = proc.FreeAddress(ctx); err != nil {
		return nil, err
	}
	r.command = proc.Command{
		Path:   program,
		Args:   []string{"-listen", r.address, "-cert", certificate, "-key", key, "-secrets", secrets, "-out", r.Records},
		Output: filepath.Join(s.Logs(), name+".log"),
	}
	if err := r.Start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Start starts it again after Kill.
func (r *Receiver) Start(ctx context.Context) error {
	process, err := proc.Start(r.command)
	if err != nil {
		return err
	}
	r.process = process
	waiting, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	if err := process.WaitReady(waiting, 10*time.Millisecond, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		return errors.Join(err, process.Stop())
	}
	return nil
}

// Kill ends it as a crash does.
func (r *Receiver) Kill() error {
	if err := r.process.Signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill the receiver: %w", err)
	}
	<-r.process.Done()
	return nil
}

// Signal sends it a signal.
func (r *Receiver) Signal(signal syscall.Signal) error { return r.process.Signal(signal) }

// Stop ends it.
func (r *Receiver) Stop() error { return r.process.Stop() }

// Install makes it a LogSink.
func (r *Receiver) Install(ctx context.Context) error {
	for _, object := range r.objects() {
		if err := r.stack.Admin.Create(ctx, object); err != nil {
			return fmt.Errorf("cannot make the LogSink: %w", err)
		}
	}
	return nil
}

// Remove deletes the LogSink.
func (r *Receiver) Remove(ctx context.Context) error {
	var errs []error
	for _, object := range r.objects() {
		errs = append(errs, client.IgnoreNotFound(r.stack.Admin.Delete(ctx, object)))
	}
	return errors.Join(errs...)
}

func (r *Receiver) objects() []client.Object {
	return []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: r.Name}, Type: "doorward.dev/sink-credential",
			StringData: map[string]string{"signingKey": r.Secret},
		},
		&v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: r.Name}, Spec: v1alpha1.LogSinkSpec{
			Type: v1alpha1.LogSinkWebhook, Secret: &v1alpha1.SinkSecretReference{Name: r.Name},
			TLS:     &v1alpha1.SinkTLS{CertificateAuthority: r.ca},
			Webhook: &v1alpha1.WebhookSink{URL: "https://" + r.address + "/records"},
		}},
	}
}
