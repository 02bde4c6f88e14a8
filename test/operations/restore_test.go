// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestRestore restores etcd from an older backup while a session runs: see
// docs/operations/backup.md. Revisions, the witness and AuditSessions go back
// behind what the proxies have seen, and all must find together again, with no
// session and no record lost, and nobody deleting anything.
func TestRestore(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		// which processes do not live through the restoration
		manager, proxy bool
	}{
		"Living":       {reason: "the manager remembers what it published"},
		"NewManager":   {reason: "only the proxies remember, and tell", manager: true},
		"NewProxy":     {reason: "the proxy remembers on its disk alone", proxy: true},
		"NewProcesses": {reason: "nothing but disks remembers", manager: true, proxy: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			restored(t, volumes(t), tc.manager, tc.proxy)
		})
	}
}

// copying is a way to copy etcd, and to have the copy in place of what it holds.
type copying struct{ save, restore func() }

// volumes copies etcd's files, and puts them back as they were: nothing tells
// clients that they went back.
func volumes(t *testing.T) copying {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "etcd")
	return copying{
		save:    func() { must(t, world.Control.BackUp(folder)) },
		restore: func() { must(t, world.Control.Restore(t.Context(), folder)) },
	}
}

func restored(t *testing.T, backup copying, manager, proxy bool) {
	t.Helper()
	shop := world.Proxy()
	before := login(t, shop, "alice", "analysts")
	before.must(t, "SELECT 1")
	await(t, "the session begun before the backup", func(ctx context.Context) error { return shown(ctx, before, v1alpha1.SessionActive) })
	old := revision(t)
	backup.save()

	// What the backup does not hold: policies, sessions, records, a proxy.
	lost := reader("ruth", "public.orders")
	give(t, lost)
	change(t, lost, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1].Resources = []string{"public.customers"} })
	must(t, world.AwaitPolicy(t.Context(), stack.Connection, lost.Name))
	after := login(t, shop, "alice", "analysts")
	after.must(t, "SELECT 2")
	ended := login(t, shop, "alice", "analysts")
	ended.must(t, "SELECT 3")
	must(t, ended.Close(t.Context()))
	await(t, "the sessions begun after the backup", func(ctx context.Context) error {
		return errors.Join(shown(ctx, after, v1alpha1.SessionActive), shown(ctx, ended, v1alpha1.SessionEnded))
	})
	late, lateInstance := newProxy(t)
	await(t, "the late proxy", func(ctx context.Context) error {
		return visit(ctx, t, late, "ruth", "SELECT count(*) FROM customers")
	})
	await(t, "the late proxy's log at the witness", func(ctx context.Context) error { return witnessed(ctx, lateInstance, 2) })
	const instance = stack.Connection + "-1"
	log, err := auditLogOf(t.Context(), instance)
	must(t, err)
	latest := revision(t)
	if latest < old+2 {
		t.Fatalf("revision %d after the backup of %d: nothing to go back", latest, old)
	}

	if manager {
		must(t, world.KillManager())
	}
	if proxy {
		must(t, shop.Kill())
	}
	began := time.Now()
	backup.restore()
	took := time.Since(began)
	began = time.Now()
	if !proxy {
		// Sessions go on meanwhile, on what the proxy has seen.
		before.must(t, "SELECT count(*) FROM orders")
		after.must(t, "SELECT count(*) FROM orders")
	}
	if manager {
		must(t, world.StartManager(t.Context()))
	}
	if proxy {
		must(t, shop.Launch())
	}
	settled := await(t, "a revision above all that was seen, at all proxies", func(ctx context.Context) error { return present(ctx, latest) })
	t.Logf("revision %d was restored where %d had been seen: servers back after %s, revision %d at all proxies after another %s",
		old, latest, short(took), revision(t), short(settled))
	if proxy {
		must(t, shop.AwaitReady(t.Context()))
	} else {
		before.must(t, "SELECT 4")
		after.must(t, "SELECT 5")
		await(t, "the session that the backup does not hold", func(ctx context.Context) error { return shown(ctx, after, v1alpha1.SessionActive) })
	}
	// The policy made after the backup is gone, whatever the proxies have seen.
	await(t, "the restored policies", func(ctx context.Context) error {
		if visit(ctx, t, shop, "ruth", "SELECT 1") == nil {
			return errors.New("a policy that does not exist any more is in force")
		}
		return nil
	})
	must(t, visit(t.Context(), t, shop, "alice", "SELECT count(*) FROM orders", "analysts"))
	await(t, "the witness of a log it holds less of than it did", func(ctx context.Context) error { return witnessed(ctx, instance, log.Status.Size+1) })
	await(t, "the witness of a log it never held", func(ctx context.Context) error { return witnessed(ctx, lateInstance, 2) })
	t.Logf("all witnessed %s after the restoration", short(time.Since(began)))
	// The next change is felt as ever.
	give(t, reader("rosa", "public.orders"))
	await(t, "a policy made after the restoration", func(ctx context.Context) error { return visit(ctx, t, shop, "rosa", "SELECT count(*) FROM orders") })
	must(t, complete(world.Records()))
}

// newProxy starts another proxy of the shop, which ends with the test, and
// returns its instance.
func newProxy(t *testing.T, args ...string) (*stack.Proxy, string) {
	t.Helper()
	proxy := stacktest.StartProxy(t, world, stack.ProxyOptions{Args: args})
	return proxy, proxy.Instance
}
