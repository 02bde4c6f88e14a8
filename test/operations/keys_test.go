// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/stack"
)

// TestSnapshotKeyLost loses the key that signs snapshots, enrols a proxy for the
// new one, and puts the former back from a backup: docs/operations/disaster.md.
func TestSnapshotKeyLost(t *testing.T) {
	shop := world.Proxy()
	live := login(t, shop, "alice", "analysts")
	live.must(t, "SELECT 1")
	backup := lose(t, "doorward-snapshot-key")
	restartManager(t)
	refusal := await(t, "the proxy's refusal of what the new key signed", func(ctx context.Context) error {
		object, err := connection(ctx)
		if err != nil {
			return err
		}
		for _, p := range object.Status.Proxies {
			if p.Instance == stack.Connection+"-1" && strings.Contains(p.Message, "signature") {
				return nil
			}
		}
		return fmt.Errorf("proxies are %+v", object.Status.Proxies)
	})
	// It goes on with what it has, for maxStalenessSeconds.
	live.must(t, "SELECT 2")
	must(t, visit(t.Context(), t, shop, "alice", "SELECT 3", "analysts"))

	began := time.Now()
	again, _ := newProxy(t)
	await(t, "a proxy that was enrolled for the new key", func(ctx context.Context) error {
		return visit(ctx, t, again, "alice", "SELECT 4", "analysts")
	})
	enrolled := time.Since(began)
	must(t, again.Stop())

	restore(t, backup)
	before := revision(t)
	restartManager(t)
	restored := await(t, "the former key's snapshot at the proxy", func(ctx context.Context) error { return present(ctx, before) })
	live.must(t, "SELECT 5")
	t.Logf("refused after %s, a new enrolment served after %s, the former key was in force %s after the manager was ready",
		short(refusal), short(enrolled), short(restored))
	must(t, complete(world.Records()))
}

// TestAuthorityLost loses the key of the authority: sessions go on, and callers
// need the new trust bundle.
func TestAuthorityLost(t *testing.T) {
	shop := world.Proxy()
	live := login(t, shop, "alice", "analysts")
	live.must(t, "SELECT 1")
	former, err := os.ReadFile(world.CAPath)
	must(t, err)
	_ = lose(t, "doorward-ca")
	restartManager(t)
	took := await(t, "a new authority, and a certificate of it", func(ctx context.Context) error {
		var bundle corev1.ConfigMap
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-trust-bundle"}, &bundle); err != nil {
			return err
		}
		now := []byte(bundle.Data["ca.crt"])
		if bytes.Equal(now, former) {
			return errors.New("the bundle is the former")
		}
		if err := os.WriteFile(world.CAPath, now, 0o600); err != nil {
			return err
		}
		return visit(ctx, t, shop, "alice", "SELECT 2", "analysts")
	})
	live.must(t, "SELECT 3")
	t.Logf("callers with the new bundle got in %s after the manager was ready; the session that was there went on", short(took))
	// Whoever has the former bundle is not let down silently.
	must(t, os.WriteFile(world.CAPath, former, 0o600))
	err = visit(t.Context(), t, shop, "alice", "SELECT 4", "analysts")
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the former bundle: %v, want a complaint about the certificate", err)
	}
	var bundle corev1.ConfigMap
	must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-trust-bundle"}, &bundle))
	must(t, os.WriteFile(world.CAPath, []byte(bundle.Data["ca.crt"]), 0o600))
}

// lose deletes a Secret of the manager's, and returns what a backup holds of it.
func lose(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.OperatorNamespace, Name: name}, &secret))
	must(t, world.Admin.Delete(t.Context(), &secret))
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: name, Labels: secret.Labels}, Type: secret.Type, Data: secret.Data}
}

// restore puts a Secret back.
func restore(t *testing.T, backup *corev1.Secret) {
	t.Helper()
	must(t, client.IgnoreNotFound(world.Admin.Delete(t.Context(), backup.DeepCopy())))
	must(t, world.Admin.Create(t.Context(), backup))
}

func restartManager(t *testing.T) {
	t.Helper()
	must(t, world.KillManager())
	must(t, world.StartManager(context.WithoutCancel(t.Context())))
}
