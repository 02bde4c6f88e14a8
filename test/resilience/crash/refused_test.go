// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// refusals is how many in a row show that everything is refused.
const refusals = 30

// What the proxy answers with where it cannot decide, and what it ends sessions with.
const (
	codeCannotConnectNow = "57P03"
	codeAdminShutdown    = "57P01"
)

// configure changes the shop's Connection for one test, and waits until its
// proxies run with it.
func configure(t *testing.T, change func(*v1alpha1.Connection)) {
	t.Helper()
	var former v1alpha1.ConnectionSpec
	edit := func(change func(*v1alpha1.Connection)) {
		object := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: stack.Connection}}
		stacktest.Change(t, world, object, change)
		await(t, "the changed Connection", func(ctx context.Context) error { return world.ShopRuns(ctx, object.Generation) })
	}
	edit(func(c *v1alpha1.Connection) {
		c.Spec.DeepCopyInto(&former)
		change(c)
	})
	t.Cleanup(func() { edit(func(c *v1alpha1.Connection) { c.Spec = former }) })
}

// refused waits until the clients are refused everything, and checks what they
// are told.
func (s *scene) refused(t *testing.T) {
	t.Helper()
	s.load.heard.forget()
	await(t, "refusals", func(context.Context) error {
		said, err := s.load.heard.refused(refusals)
		if err != nil {
			return err
		}
		for _, answer := range said {
			known := answer.Code == codeAdminShutdown || answer.Code == codeCannotConnectNow && strings.Contains(answer.Hint, "Ask the operators")
			if !known || !strings.Contains(answer.Message, "the record could not be written") {
				t.Errorf("the clients are told %s %q (%s), want that the record could not be written, and whom to ask", answer.Code, answer.Message, answer.Hint)
			}
		}
		return nil
	})
	select {
	case <-s.proxy.Done():
		t.Fatalf("the proxy has ended: %v", s.proxy.Err())
	default:
	}
}

// reported waits until the Connection says of the proxy what is wrong with its log.
func (s *scene) reported(t *testing.T, instance string, texts ...string) {
	t.Helper()
	await(t, "the report", func(ctx context.Context) error {
		object, err := world.ShopConnection(ctx)
		if err != nil {
			return err
		}
		for _, proxy := range object.Status.Proxies {
			if proxy.Instance != instance {
				continue
			}
			for _, text := range texts {
				if !strings.Contains(proxy.Message, text) {
					return fmt.Errorf("status.proxies says of %q: %q, want %q", instance, proxy.Message, text)
				}
			}
			return nil
		}
		return fmt.Errorf("status.proxies has no %q", instance)
	})
	if err := s.proxy.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), ": log\n") {
		t.Errorf("/readyz says %v, want the name of the check", err)
	}
}

// executedSoFar reads the target's log on, and counts.
func (s *scene) executedSoFar(t *testing.T) (n int) {
	t.Helper()
	if err := s.target.Read(); err != nil {
		t.Fatal(err)
	}
	for _, times := range s.target.Executed {
		n += times
	}
	return n
}

// secondSink makes a LogSink with a folder of its own, for one test.
func secondSink(t *testing.T, name, dir string) {
	t.Helper()
	object := &v1alpha1.LogSink{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.LogSinkSpec{Type: v1alpha1.LogSinkFile, File: &v1alpha1.FileSink{Directory: dir}},
	}
	before, err := world.ShopConnection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := world.Admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	newer := func(ctx context.Context) error {
		object, err := world.ShopConnection(ctx)
		if err != nil {
			return err
		}
		if object.Status.Snapshot == nil || object.Status.Snapshot.Revision == before.Status.Snapshot.Revision {
			return fmt.Errorf("the snapshot is still that of revision %d", before.Status.Snapshot.Revision)
		}
		return world.ShopRuns(ctx, object.Generation)
	}
	t.Cleanup(func() {
		var err error
		if before, err = world.ShopConnection(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := world.Admin.Delete(context.Background(), object); err != nil {
			t.Fatal(err)
		}
		await(t, "the snapshot without the sink", newer)
	})
	await(t, "the snapshot with the sink", newer)
}

// ended says whether a session of an instance is shown as live, when there are none.
func ended(ctx context.Context, instance string) error {
	var list v1alpha1.AuditSessionList
	if err := world.Admin.List(ctx, &list, client.InNamespace(stack.Namespace)); err != nil {
		return fmt.Errorf("cannot list AuditSessions: %w", err)
	}
	for i := range list.Items {
		object := &list.Items[i]
		if object.Spec.ProxyInstance == instance && object.Status.Phase != v1alpha1.SessionEnded {
			return fmt.Errorf("AuditSession %s is %q, want Ended", object.Name, object.Status.Phase)
		}
	}
	return nil
}
