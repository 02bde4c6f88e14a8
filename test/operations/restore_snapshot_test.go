// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

// snapshots is etcd's own way: what docs/operations/backup.md tells.
func snapshots(t *testing.T) copying {
	t.Helper()
	a := newAdmin(t, world.Control)
	return copying{
		save: func() { a.follows(t, sectionBackup, backupEtcd) },
		restore: func() {
			must(t, world.Control.RestoreWith(t.Context(), func(_ context.Context, m testenv.Member) error {
				a.set("data_dir="+m.DataDir, "name="+m.Name, "initial_cluster="+m.Name+"="+m.Peer, "peer_url="+m.Peer)
				a.follows(t, sectionEtcd, restoreEtcd)
				return nil
			}))
		},
	}
}

// TestRestoreSnapshot is TestRestore with etcd's own tools, as the page has them.
func TestRestoreSnapshot(t *testing.T) {
	for name, tc := range map[string]struct {
		reason         string
		manager, proxy bool
	}{
		"Living":       {reason: "watches end, and everything is read anew"},
		"NewProcesses": {reason: "nothing but disks remembers", manager: true, proxy: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			restored(t, snapshots(t), tc.manager, tc.proxy)
		})
	}
}

// TestRestoreRevoked restores a backup in which two rights are that were taken
// away since, and does what the page says so that nobody gets them back, not even
// for a moment. Hashed values stay what they were.
func TestRestoreRevoked(t *testing.T) {
	shop := world.Proxy()
	a := newAdmin(t, world.Control)
	deployManager(t)
	git := a.path("git")
	must(t, os.Mkdir(git, 0o700))
	keep := func(p *v1alpha1.AccessPolicy) {
		p.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AccessPolicy"))
		text, err := yaml.Marshal(p)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(git, p.Name+".yaml"), text, 0o600))
	}
	ruth, rosa := reader("ruth", "public.*"), reader("rosa", "public.orders")
	ruth.Spec.Masks = []v1alpha1.Mask{hashed("public.customers.email")}
	keep(ruth.DeepCopy())
	give(t, ruth)
	give(t, rosa)
	const orders = "SELECT count(*) FROM orders"
	await(t, "the rights that will be taken away", func(ctx context.Context) error {
		return errors.Join(visit(ctx, t, shop, "ruth", orders), visit(ctx, t, shop, "rosa", orders))
	})
	masked := email(t, shop, "ruth")
	backup := snapshots(t)
	backup.save()

	// Ruth's right is narrowed, Rosa's is revoked, in Git and in the cluster.
	change(t, ruth, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1].Resources = []string{"public.customers"} })
	narrowed := ruth.DeepCopy()
	narrowed.ObjectMeta = reader("ruth", "").ObjectMeta
	narrowed.Status = v1alpha1.AccessPolicyStatus{}
	keep(narrowed)
	must(t, world.Admin.Delete(t.Context(), rosa.DeepCopy()))
	revoked := func(ctx context.Context) error {
		for _, user := range []string{"ruth", "rosa"} {
			var refusal *pgconn.PgError
			switch err := visit(ctx, t, shop, user, orders); {
			case err == nil:
				return errors.New(user + " reads orders")
			case !errors.As(err, &refusal):
				return err
			}
		}
		return nil
	}
	await(t, "the revocation", revoked)
	latest := revision(t)
	stop := never(t, func(ctx context.Context) error {
		for _, user := range []string{"ruth", "rosa"} {
			if visit(ctx, t, shop, user, orders) == nil {
				return errors.New(user + " has the right again that was taken away")
			}
		}
		return nil
	})

	// Nothing of the manager reaches the API server until it was told to rest.
	must(t, world.KillManager())
	backup.restore()
	a.follows(t, sectionEtcd, stopManager)
	must(t, revoked(t.Context()))
	a.set("git="+git, "gone=rosa")
	a.follows(t, sectionEtcd, applyGit)
	a.follows(t, sectionEtcd, startManager)
	must(t, world.StartManager(t.Context()))
	a.follows(t, sectionEtcd, waitReady)
	await(t, "a revision above all that was seen, at all proxies", func(ctx context.Context) error { return present(ctx, latest) })
	must(t, revoked(t.Context()))
	stop()
	if now := email(t, shop, "ruth"); now != masked {
		t.Errorf("a hashed value was %q before the restoration and is %q after it", masked, now)
	}
	must(t, complete(world.Records()))
}

// deployManager makes the manager's Deployment, which runs nothing here: the
// manager is a process of this machine. What kubectl does to it works as anywhere.
func deployManager(t *testing.T) {
	t.Helper()
	a := newAdmin(t, world.Control)
	_, err := a.try(t.Context(), "kubectl apply --server-side --force-conflicts -k '"+filepath.Join(testenv.Root(), "config", "manager")+"'")
	must(t, err)
	t.Cleanup(func() {
		_, err := a.try(context.Background(), "kubectl -n doorward-system delete deployment doorward-manager --ignore-not-found")
		must(t, err)
	})
}

// never asks again and again, until the test or the returned function ends it,
// and fails the test as soon as there is an error.
func never(t *testing.T, ask func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var asking sync.WaitGroup
	asked := 0
	asking.Go(func() {
		for ctx.Err() == nil {
			if err := ask(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			asked++
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		asking.Wait()
		t.Logf("asked %d times", asked)
	})
	t.Cleanup(stop)
	return stop
}

// hashed masks a field with the key of the Connection.
func hashed(field string) v1alpha1.Mask {
	return v1alpha1.Mask{Name: "hashed", Fields: []string{field}, Method: v1alpha1.MaskMethod{Type: v1alpha1.MaskHash}}
}

const emailOfOne = "SELECT email FROM customers WHERE id = 1"

// email is what somebody sees of a customer's address.
func email(t *testing.T, proxy *stack.Proxy, user string, groups ...string) string {
	t.Helper()
	rows := login(t, proxy, user, groups...).Must(t, emailOfOne)
	if len(rows) != 1 {
		t.Fatalf("%s sees %d addresses, want one", user, len(rows))
	}
	return rows[0]
}
