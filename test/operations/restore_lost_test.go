// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	t.Cleanup(func() { must(t, client.IgnoreAlreadyExists(world.Admin.Create(context.Background(), again.DeepCopy()))) })
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

// TestSpoolLost loses a proxy with its disk: a new log begins, and the sink has
// all of the former (docs/operations/disaster.md).
func TestSpoolLost(t *testing.T) {
	shop, instance := newProxy(t)
	enters(t, shop, "SELECT 1")
	await(t, "the log at the witness", func(ctx context.Context) error { return witnessed(ctx, instance, 1) })
	former, err := auditLogOf(t.Context(), instance)
	must(t, err)
	must(t, shop.Kill())
	must(t, os.RemoveAll(shop.Spool))
	must(t, shop.Start(t.Context()))
	enters(t, shop, "SELECT 2")
	a := newAdmin(t, world.Control)
	await(t, "the new log at the witness", func(ctx context.Context) error {
		output, err := a.try(ctx, `kubectl -n "$namespace" get auditlogs -o jsonpath='{range .items[?(@.spec.instance=="`+instance+`")]}{.metadata.name} {.status.state}{"\n"}{end}'`)
		if want := fmt.Sprintf("%s Open\n", former.Name); err == nil && (len(output) <= len(want)) {
			err = fmt.Errorf("the logs of instance %q are: %s", instance, output)
		}
		return err
	})
	must(t, complete(world.Records()))
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
		Directory: filepath.Dir(shop.Spool), Instance: shop.Instance, Listen: shop.Address,
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
