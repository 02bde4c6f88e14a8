// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/witness"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

// TestMaskKeyLost loses the secret of masks: hashed values change, and a backup
// alone brings the former ones back (docs/operations/disaster.md).
func TestMaskKeyLost(t *testing.T) {
	shop := world.Proxy()
	policy := reader("ruth", "public.customers")
	policy.Spec.Masks = []v1alpha1.Mask{hashed("public.customers.email")}
	give(t, policy)
	live := login(t, shop, "ruth")
	before := live.Must(t, emailOfOne)[0]
	sees := func(wants func(string) bool) func(context.Context) error {
		return func(ctx context.Context) error {
			s, err := dial(ctx, t, shop, "ruth")
			if err != nil {
				return err
			}
			rows, err := s.Run(ctx, emailOfOne)
			if err == nil && !wants(rows[0]) {
				err = fmt.Errorf("a hashed value is %q, was %q", rows[0], before)
			}
			return errors.Join(err, s.Close(ctx))
		}
	}
	backup := lose(t, "doorward-mask-key")
	restartManager(t)
	took := await(t, "another hash", sees(func(now string) bool { return now != before }))
	t.Logf("hashed values were others %s after the manager was ready", short(took))
	live.must(t, "SELECT 1")

	restore(t, backup)
	restartManager(t)
	await(t, "the former hash", sees(func(now string) bool { return now == before }))
	live.must(t, "SELECT 2")
}

// TestWitnessKeyLost loses the witness's key: logs go on being witnessed, nothing
// connects the next key with the former, and what the former signed is verified
// with a copy of its verifier alone (docs/operations/disaster.md).
func TestWitnessKeyLost(t *testing.T) {
	shop, instance := newProxy(t)
	a := newAdmin(t, world.Control)
	enters(t, shop, "SELECT 1")
	await(t, "a witnessed log", func(ctx context.Context) error { return witnessed(ctx, instance, 1) })
	log, err := auditLogOf(t.Context(), instance)
	must(t, err)
	a.set("log=" + log.Name)
	const (
		copies = `kubectl -n "$namespace" get auditlog "$log" -o yaml > %[1]s.yaml
kubectl -n doorward-system get configmap doorward-witness -o yaml > %[1]s-key.yaml`
		verify = `kubectl doorward audit verify --checkpoint %s.yaml --witness-key %s-key.yaml "$records/$log"-*.jsonl`
	)
	_, err = a.try(t.Context(), fmt.Sprintf(copies, "before"))
	must(t, err)
	ok := func(checkpoint, key string) {
		t.Helper()
		await(t, checkpoint+" by the verifier "+key, func(ctx context.Context) error {
			_, err := a.try(ctx, fmt.Sprintf(verify, checkpoint, key))
			return err
		})
	}
	ok("before", "before")
	former := verifier(t)

	backup := lose(t, "doorward-witness-key")
	restartManager(t)
	must(t, visit(t.Context(), t, shop, "alice", "SELECT 2", "analysts"))
	took := await(t, "the log at the witness with another key", func(ctx context.Context) error {
		if verifier(t) == former {
			return errors.New("the verifier is the former")
		}
		return witnessed(ctx, instance, log.Status.Size+1)
	})
	t.Logf("witnessed %s after the manager was ready", short(took))
	// The former manager may have been the last to sign.
	await(t, "a signature with the key of after the loss", func(ctx context.Context) error {
		if _, err := a.try(ctx, fmt.Sprintf(copies, "after")); err != nil {
			return err
		}
		_, err := a.try(ctx, fmt.Sprintf(verify, "after", "after"))
		return err
	})
	ok("before", "before")
	for _, pair := range [][2]string{{"before", "after"}, {"after", "before"}} {
		if output, err := a.try(t.Context(), fmt.Sprintf(verify, pair[0], pair[1])); err == nil {
			t.Errorf("what was signed %s the loss is verified with the key of %s it: %s", pair[0], pair[1], output)
		}
	}

	restore(t, backup)
	restartManager(t)
	must(t, visit(t.Context(), t, shop, "alice", "SELECT 3", "analysts"))
	await(t, "the former key in force", func(ctx context.Context) error {
		if verifier(t) != former {
			return errors.New("the verifier is another")
		}
		now, err := auditLogOf(ctx, instance)
		if err != nil {
			return err
		}
		return witnessed(ctx, instance, now.Status.Size)
	})
}

// verifier is that of the witness's key in force.
func verifier(t *testing.T) string {
	t.Helper()
	var published corev1.ConfigMap
	must(t, world.Admin.Get(context.WithoutCancel(t.Context()), client.ObjectKey{Namespace: stack.OperatorNamespace, Name: witness.KeysConfigMapName}, &published))
	return published.Data[witness.KeysVerifier]
}

// TestOperatorNamespaceLost loses the namespace of the manager, and restores it
// with keys.yaml: no proxy is enrolled anew, no caller gets another trust bundle,
// no hashed value changes (docs/operations/disaster.md).
func TestOperatorNamespaceLost(t *testing.T) {
	shop := world.Proxy()
	a := newAdmin(t, world.Control)
	policy := reader("ruth", "public.customers")
	policy.Spec.Masks = []v1alpha1.Mask{hashed("public.customers.email")}
	give(t, policy)
	masked := email(t, shop, "ruth")
	live := login(t, shop, "alice", "analysts")
	live.must(t, "SELECT 1")
	key := verifier(t)
	a.follows(t, sectionBackup, backupFiles)

	must(t, world.KillManager()) // as its pod is
	_, err := a.try(t.Context(), "kubectl delete namespace doorward-system")
	must(t, err)
	live.must(t, "SELECT 2")
	must(t, visit(t.Context(), t, shop, "alice", "SELECT 3", "analysts"))

	before := revision(t)
	a.follows(t, sectionElsewhere, restoreKeys)
	must(t, world.Control.Apply(t.Context(), testenv.Root()+"/config/rbac"))
	must(t, world.StartManager(t.Context()))
	give(t, reader("rosa", "public.orders"))
	await(t, "a policy made after the loss", func(ctx context.Context) error {
		return errors.Join(visit(ctx, t, shop, "rosa", "SELECT count(*) FROM orders"), present(ctx, before))
	})
	live.must(t, "SELECT 4")
	if now := email(t, shop, "ruth"); now != masked {
		t.Errorf("a hashed value was %q before the loss and is %q after it", masked, now)
	}
	if now := verifier(t); now != key {
		t.Errorf("the witness's verifier was %q and is %q", key, now)
	}
	log, err := auditLogOf(t.Context(), shop.Instance)
	must(t, err)
	must(t, visit(t.Context(), t, shop, "alice", "SELECT 5", "analysts"))
	await(t, "the log at the witness", func(ctx context.Context) error { return witnessed(ctx, shop.Instance, log.Status.Size+1) })
	object, err := connection(t.Context())
	must(t, err)
	for _, p := range object.Status.Proxies {
		if strings.Contains(p.Message, "signature") {
			t.Errorf("proxy %+v refuses what the restored key signs", p)
		}
	}
}
