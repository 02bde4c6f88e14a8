// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/stack"
)

// TestSnapshotTampered overwrites and rolls back the snapshot as a user with the
// built-in role edit, while the manager is dead: the proxy goes on with the right
// policy and puts the refusal on record. Then the manager repairs it.
func TestSnapshotTampered(t *testing.T) {
	config, err := world.Control.AddUser("mallory")
	if err != nil {
		t.Fatal(err)
	}
	bind(t, "mallory", "ClusterRole", "edit")
	mallory := clientOf(t, config)

	wide := stack.Allow("read", []string{"select"}, "public.orders", "public.customers")
	policy := stack.Policy("tampered", stack.Users("tina"), talk, wide)
	givePolicy(t, policy)
	former := maps.Clone(secret(t, snapshotSecret).Data)
	change(t, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1] = readOrders })
	if err := world.AwaitPolicy(t.Context(), stack.Connection, policy.Name); err != nil {
		t.Fatal(err)
	}
	who := caller{User: "tina"}
	live := login(t, who)
	rightPolicy(t, live)
	before := revision(t)

	if err := world.KillManager(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			startManager(t)
		}
	})
	for _, attempt := range []struct {
		name, reason string
		spoil        func(*corev1.Secret)
	}{
		{"rolled back", "older than revision", func(s *corev1.Secret) { s.Data = maps.Clone(former) }},
		{"overwritten", "signature", func(s *corev1.Secret) { s.Data[snapshot.KeySnapshot] = []byte("forged") }},
	} {
		began := time.Now()
		overwrite(t, mallory, attempt.spoil)
		await(t, "the record of the refusal: "+attempt.name, func(context.Context) error {
			_, err := found(func(d record.Document) bool {
				return d.Type == record.SnapshotRefused && !d.Time.Before(began) && strings.Contains(d.Reason, attempt.reason)
			})
			return err
		})
		rightPolicy(t, live)
		fresh := login(t, who)
		rightPolicy(t, fresh)
		fresh.Leave(t)
		t.Logf("%s: refused, and on record as such", attempt.name)
	}
	startManager(t)
	repaired(t, before)

	// With the manager alive.
	before = revision(t)
	began := time.Now()
	overwrite(t, mallory, func(s *corev1.Secret) { s.Data = maps.Clone(former) })
	repaired(t, before)
	took := time.Since(began)
	rightPolicy(t, live)
	change(t, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1] = wide })
	await(t, "a policy after the repair", func(ctx context.Context) error {
		_, err := live.Run(ctx, "SELECT count(*) FROM customers")
		return err
	})
	t.Logf("a living manager had repaired the snapshot, and the proxy run it, after %s", took.Round(time.Millisecond))
}

// overwrite edits the snapshot's Secret as somebody.
func overwrite(t *testing.T, c client.Client, spoil func(*corev1.Secret)) {
	t.Helper()
	await(t, "the overwritten Secret", func(ctx context.Context) error {
		object := secret(t, snapshotSecret)
		spoil(object)
		return c.Update(ctx, object)
	})
}

// rightPolicy fails the test where a session is not decided by the narrowed rule.
func rightPolicy(t *testing.T, s *session) {
	t.Helper()
	s.Must(t, "SELECT count(*) FROM orders")
	_, err := s.Run(t.Context(), "SELECT count(*) FROM customers")
	if err == nil {
		t.Fatal("the former, wider policy is in force")
	}
	wants(t, refusal(t, err), codeInsufficient, "public.customers")
}

// repaired waits until a higher revision is published and run by the proxy.
func repaired(t *testing.T, before int64) {
	t.Helper()
	await(t, "the repaired snapshot", func(ctx context.Context) error {
		object, err := world.ShopConnection(ctx)
		if err != nil {
			return err
		}
		if object.Status.Snapshot.Revision <= before {
			return fmt.Errorf("revision %d is published, want more than %d", object.Status.Snapshot.Revision, before)
		}
		var holder corev1.Secret
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: snapshotSecret}, &holder); err != nil {
			return err
		}
		if bytes.Equal(holder.Data[snapshot.KeySnapshot], []byte("forged")) {
			return errors.New("the Secret is still the forged one")
		}
		return world.ShopRuns(ctx, object.Generation)
	})
}
