// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/test/stack"
)

// TestCredentialLost deletes the credential's Secret: who is connected stays,
// nobody else comes in until it is there again (docs/operations/disaster.md).
func TestCredentialLost(t *testing.T) {
	shop := world.Proxy()
	live := login(t, shop, "alice", "analysts")
	live.must(t, "SELECT 1")
	again := world.CredentialSecret(stack.Connection+"-credential", stack.Connection, world.Canary)
	must(t, world.Admin.Delete(t.Context(), again.DeepCopy()))
	t.Cleanup(func() {
		must(t, client.IgnoreAlreadyExists(world.Admin.Create(context.Background(), again.DeepCopy())))
	})
	await(t, "refused sessions", func(ctx context.Context) error {
		if visit(ctx, t, shop, "alice", "SELECT 2", "analysts") == nil {
			return errors.New("a session was opened without the credential")
		}
		return nil
	})
	live.must(t, "SELECT 3")
	must(t, world.Admin.Create(t.Context(), again.DeepCopy()))
	took := await(t, "sessions with the credential that is there again", func(ctx context.Context) error {
		return visit(ctx, t, shop, "alice", "SELECT 4", "analysts")
	})
	t.Logf("new sessions %s after the Secret was there again", short(took))
	live.must(t, "SELECT 5")
}

// TestSpoolLost loses a proxy with its disk: another instance begins a new log at
// once, the same one when the former has not reported for a while, and the sink
// has all of the former log (docs/operations/disaster.md).
func TestSpoolLost(t *testing.T) {
	shop, instance := newProxy(t)
	enters(t, shop, "SELECT 1")
	await(t, "the log at the witness", func(ctx context.Context) error { return witnessed(ctx, instance, 1) })
	former, err := auditLogOf(t.Context(), instance)
	must(t, err)
	must(t, shop.Kill())
	lost := filepath.Join(t.TempDir(), "lost")
	must(t, os.Rename(shop.Spool, lost))
	if err := shop.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "has the same instance id") {
		t.Errorf("another log of an instance that has just reported: %v, want it refused", err)
	}
	next, instance := newProxy(t)
	enters(t, next, "SELECT 2")
	await(t, "the new log at the witness", func(ctx context.Context) error { return witnessed(ctx, instance, 1) })
	if now, err := auditLogOf(t.Context(), instance); err != nil || now.Name == former.Name {
		t.Errorf("the log is %v, want another than %s: %v", now, former.Name, err)
	}
	must(t, complete(world.Records()))
	// Found again, for the tests that follow: what has gone without a word is listed
	// for a while.
	must(t, os.RemoveAll(shop.Spool))
	must(t, os.Rename(lost, shop.Spool))
	must(t, shop.Start(t.Context()))
}

// TestEnrolmentStolen ends what somebody has who copied a proxy's directory:
// without the ServiceAccount its token is worth nothing, and the proxy is enrolled
// anew with the one that the manager makes (docs/operations/disaster.md).
func TestEnrolmentStolen(t *testing.T) {
	shop := world.Proxy()
	config, err := world.Control.ServiceAccountConfig(t.Context(), stack.Namespace, "doorward-"+stack.Connection)
	must(t, err)
	thief, err := stack.NewClient(config)
	must(t, err)
	steal := func(ctx context.Context) error {
		var secret corev1.Secret
		return thief.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: stack.Connection + "-credential"}, &secret)
	}
	must(t, steal(t.Context()))
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "doorward-" + stack.Connection}}
	must(t, world.Admin.Get(t.Context(), client.ObjectKeyFromObject(account), account))
	former := account.UID
	must(t, world.Admin.Delete(t.Context(), account))
	began := time.Now()
	await(t, "the end of the stolen token", func(ctx context.Context) error {
		if steal(ctx) == nil {
			return errors.New("the stolen token still reads the credential")
		}
		return nil
	})
	t.Logf("the stolen token was refused %s after the ServiceAccount was deleted", short(time.Since(began)))
	await(t, "another ServiceAccount", func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(account), account); err != nil || account.UID == former {
			return errors.Join(err, errors.New("it is the former, or none"))
		}
		return nil
	})
	again, _ := newProxy(t)
	enters(t, again, "SELECT 1")
	// The shop's own proxy has lost its token, too: what it is started with is made anew.
	must(t, shop.Kill())
	args, err := enrol.Enrol(t.Context(), world.Control.RESTConfig, world.Admin, enrol.Request{
		Namespace: stack.Namespace, Connection: shop.Connection, OperatorNamespace: stack.OperatorNamespace,
		Directory: filepath.Dir(shop.Spool), Instance: shop.Instance, Listen: shop.Address, Recordings: enrol.Nowhere,
	})
	must(t, err)
	if len(args) == 0 {
		t.Error("the enrolment names nothing to start the proxy with")
	}
	must(t, shop.Start(t.Context()))
	enters(t, shop, "SELECT 2")
}

// enters waits until somebody gets in, which may take a proxy that has just
// started a moment: it has to read the credential first.
func enters(t *testing.T, proxy *stack.Proxy, statement string) {
	t.Helper()
	await(t, "a session at a proxy that was started", func(ctx context.Context) error {
		return visit(ctx, t, proxy, "alice", statement, "analysts")
	})
}
