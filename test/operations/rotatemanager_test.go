// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

const (
	snapshotKey = "doorward-snapshot-key"
	maskKey     = "doorward-mask-key"
)

// TestRotateSnapshotKey replaces the key that signs snapshots: one External proxy
// after the other is enrolled anew, the Managed ones are rolled out.
func TestRotateSnapshotKey(t *testing.T) {
	admitLoad(t)
	one, oneInstance := newProxy(t)
	other, otherInstance := newProxy(t)
	l := steady(t, taken(t), one, other)
	managed := giveManaged(t)
	stays := login(t, world.Proxy(), "alice", "analysts")
	waiting := login(t, world.Proxy(), "alice", "analysts")
	request, answer := held(t, waiting, "UPDATE orders SET status = 'rotated' WHERE id = 11")

	w := l.Open()
	backup := lose(t, snapshotKey)
	t.Cleanup(func() {
		putBack(t, backup)
		await(t, "the former key in force", func(ctx context.Context) error {
			if text, err := message(ctx, firstInstance); err != nil || text != "" {
				return fmt.Errorf("the shop's proxy says %q: %w", text, err)
			}
			return nil
		})
	})
	restartManager(t)
	await(t, "the proxies' refusal of what the new key signed", func(ctx context.Context) error {
		for _, instance := range []string{firstInstance, oneInstance, otherInstance} {
			if text, err := message(ctx, instance); err != nil || !strings.Contains(text, "signature") {
				return fmt.Errorf("proxy %q says %q: %w", instance, text, err)
			}
		}
		return nil
	})
	await(t, "the new key in the pods of Managed proxies", func(ctx context.Context) error { return rollsOut(ctx, managed) })
	unfelt(t, "a key of snapshots that the proxies do not know", l, w)
	stays.must(t, "SELECT 1")
	// What was proven with the former key is proven no more: requests that wait are void.
	select {
	case err := <-answer:
		if err == nil || !strings.Contains(err.Error(), request.Name) || !strings.Contains(err.Error(), "Void") {
			t.Errorf("what waited for approval ended with %v, want that %s is Void", err, request.Name)
		}
	case <-time.After(testTimeout):
		t.Error("what waited for approval was not answered")
	}

	w = l.Open()
	one = enrolled(t, one, oneInstance)
	serves(t, l)
	other = enrolled(t, other, otherInstance)
	serves(t, l)
	w.Close()
	if len(w.FailedLogins) > 0 || len(w.Lost) != len(w.Live) {
		t.Errorf("logins that failed: %v; %d of %d sessions ended, want each when its proxy was restarted", w.FailedLogins, len(w.Lost), len(w.Live))
	}
	for session, told := range w.Lost {
		if !strings.Contains(told, "57P01") {
			t.Errorf("session %q was told %q, want that the proxy stops (57P01)", session, told)
		}
	}
	// Changes arrive at those that know the key, and at nobody else.
	sam := reader("sam", "public.orders")
	must(t, world.Admin.Create(t.Context(), sam))
	t.Cleanup(func() { must(t, world.Admin.Delete(context.WithoutCancel(t.Context()), sam)) })
	for _, proxy := range []*stack.Proxy{one, other} {
		await(t, "a change at a proxy that was enrolled anew", func(ctx context.Context) error {
			return visit(ctx, t, proxy, "sam", "SELECT count(*) FROM orders")
		})
	}
	if visit(t.Context(), t, world.Proxy(), "sam", "SELECT 1") == nil {
		t.Error("a proxy takes what a key signed that it does not know")
	}
	stays.must(t, "SELECT 2")
	t.Logf("%d sessions ended with their proxies and came back at the other, the longest wait was %s, at a login %s",
		len(w.Lost), short(w.Longest), short(w.LongestLogin))
}

// putBack has a former key in force again, when a test ends.
func putBack(t *testing.T, backup *corev1.Secret) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testTimeout)
	defer cancel()
	must(t, client.IgnoreNotFound(world.Admin.Delete(ctx, backup.DeepCopy())))
	must(t, world.Admin.Create(ctx, backup))
	restartManager(t)
}

// enrolled enrols a proxy anew into its directory, and restarts it with its spool.
func enrolled(t *testing.T, former *stack.Proxy, instance string) *stack.Proxy {
	t.Helper()
	_, text, err := net.SplitHostPort(former.Address)
	must(t, err)
	port, err := strconv.Atoi(text)
	must(t, err)
	must(t, former.Stop())
	proxy, err := world.StartProxy(t.Context(), stack.ProxyOptions{Connection: stack.Connection, Instance: instance, Port: port})
	must(t, err)
	t.Cleanup(func() {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

// giveManaged makes a Connection with Managed proxies, which nothing runs here, and
// waits for their Deployment.
func giveManaged(t *testing.T) *v1alpha1.Connection {
	t.Helper()
	object, err := connection(t.Context())
	must(t, err)
	managed := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "managed-db"}, Spec: *object.Spec.DeepCopy()}
	managed.Spec.Credential.Secret.Name = managed.Name + "-credential"
	managed.Spec.Proxy = v1alpha1.Proxy{Placement: v1alpha1.PlacementManaged}
	managed.Spec.Audit = &v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote} // it has no volume claim
	must(t, world.Admin.Create(t.Context(), managed))
	t.Cleanup(func() { must(t, world.Admin.Delete(context.WithoutCancel(t.Context()), managed)) })
	await(t, "the Deployment of the proxies", func(ctx context.Context) error { return rollsOut(ctx, managed) })
	return managed
}

// rollsOut says whether a Connection's proxies are to have the key that is in force,
// and are replaced without there being fewer.
func rollsOut(ctx context.Context, managed *v1alpha1.Connection) error {
	var key corev1.ConfigMap
	if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.OperatorNamespace, Name: snapshotKey}, &key); err != nil {
		return err
	}
	var workload appsv1.Deployment
	if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-" + managed.Name}, &workload); err != nil {
		return err
	}
	if u := workload.Spec.Strategy.RollingUpdate; u == nil || u.MaxUnavailable.IntValue() != 0 {
		return fmt.Errorf("the Deployment's strategy is %+v", workload.Spec.Strategy)
	}
	want := "--snapshot-key=" + key.Data["ed25519.pub"]
	if args := strings.Join(workload.Spec.Template.Spec.Containers[0].Args, " "); !strings.Contains(args, want) {
		return fmt.Errorf("the proxies' arguments are %s, want %s", args, want)
	}
	return nil
}

// TestRotateMaskKey replaces the key that masked values are derived from, and puts
// the former back.
func TestRotateMaskKey(t *testing.T) {
	const card = "SELECT card FROM customers WHERE id = 7"
	admitLoad(t)
	masked := reader("mia", "public.customers")
	masked.Spec.Masks = []v1alpha1.Mask{{Name: "card", Fields: []string{"public.customers.card"}, Method: v1alpha1.MaskMethod{Type: v1alpha1.MaskHash}}}
	give(t, masked)
	live := login(t, world.Proxy(), "mia")
	value := func(s *session) string {
		ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
		defer cancel()
		got, err := mine(ctx, s, card)
		must(t, err)
		return got
	}
	l := steady(t, taken(t), world.Proxy())
	first := value(live)
	if strings.Contains(first, "4111") || value(login(t, world.Proxy(), "mia")) != first {
		t.Fatalf("a card is shown as %q, want the same in all sessions", first)
	}
	w := l.Open()
	backup := lose(t, maskKey)
	t.Cleanup(func() {
		putBack(t, backup)
		await(t, "the former value again", func(ctx context.Context) error {
			got, err := mine(ctx, live, card)
			if err == nil && got != first {
				err = fmt.Errorf("it is %q, was %q", got, first)
			}
			return err
		})
	})
	restartManager(t)
	took := await(t, "another value in a session that goes on", func(ctx context.Context) error {
		got, err := mine(ctx, live, card)
		if err == nil && got == first {
			err = errors.New("it is the former")
		}
		return err
	})
	if now, again := value(live), value(login(t, world.Proxy(), "mia")); now != again || strings.Contains(now, "4111") {
		t.Errorf("a card is shown as %q in a session that went on, as %q in another", now, again)
	}
	unfelt(t, "another key of masks", l, w)
	t.Logf("masked values were others %s after the manager's restart", short(took))
}
