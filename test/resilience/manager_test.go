// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/stack"
)

// TestManagerKilled kills the manager and brings it back: sessions go on, nothing
// is rolled back, and what was changed meanwhile is put in force.
func TestManagerKilled(t *testing.T) {
	policy := stack.Policy("while-dead", stack.Users("mia"), talk, readOrders)
	givePolicy(t, policy)
	s := login(t, caller{User: "mia"})
	s.Must(t, "SELECT count(*) FROM orders")
	before := revision(t)
	if err := world.KillManager(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			startManager(t)
		}
	})
	beat := secret(t, snapshotSecret).Data[snapshot.KeyHeartbeat]
	change(t, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1].Resources = []string{"public.customers"} })
	for range 10 {
		s.Must(t, "SELECT count(*) FROM orders")
		fresh := login(t, caller{User: "mia"})
		fresh.Must(t, "SELECT 1")
		fresh.Leave(t)
	}
	dead := time.Since(killed)
	began := time.Now()
	startManager(t)
	started := time.Since(began)
	applied := await(t, "the change made while the manager was dead", func(ctx context.Context) error {
		return reads(ctx, t, "mia", "orders", false)
	})
	s.Must(t, "SELECT count(*) FROM customers")
	if err := world.AwaitPolicy(t.Context(), stack.Connection, policy.Name); err != nil {
		t.Fatal(err)
	}
	if after := revision(t); after <= before {
		t.Errorf("revision is %d after the restart, want more than %d", after, before)
	}
	resumed := await(t, "a new heartbeat", func(ctx context.Context) error {
		var object corev1.Secret
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: snapshotSecret}, &object); err != nil {
			return err
		}
		if bytes.Equal(object.Data[snapshot.KeyHeartbeat], beat) {
			return errors.New("the heartbeat is the one from before")
		}
		return nil
	})
	t.Logf("dead %s: sessions and logins went on; back and ready after %s, the change in force %s after that, the heartbeat new after %s",
		dead.Round(time.Millisecond), started.Round(time.Millisecond), applied.Round(time.Millisecond), resumed.Round(time.Millisecond))
}

// TestApprovalWhileManagerDead: an approval that nobody can count lets nothing
// through; once the manager is back, it counts, since admission has been in force
// all the while.
func TestApprovalWhileManagerDead(t *testing.T) {
	s := login(t, alice)
	statement, text := update(t, 51)
	h := mustHold(t, s, statement)
	if err := world.KillManager(); err != nil {
		t.Fatal(err)
	}
	h.approve(t, "bob", "dba")
	// Somebody else's statement goes through meanwhile, this one does not.
	login(t, alice).Must(t, "SELECT count(*) FROM orders")
	h.still(t)
	never(t, text)
	startManager(t)
	h.ran(t)
	if n := timesExecuted(t, text); n != 1 {
		t.Errorf("the target executed the statement %d times, want once", n)
	}
}
