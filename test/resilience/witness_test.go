// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestWitness: checklist 45. The witness follows the log of a proxy through
// crashes, and finds out when an older copy of it is put in place.
func TestWitness(t *testing.T) {
	const instance = "shop-witnessed"
	proxy := stacktest.StartProxy(t, world, stack.ProxyOptions{Instance: instance})
	visit(t, proxy)
	began := time.Now()
	log := auditLog(t, instance, "a log that is open", func(l *v1alpha1.AuditLog) bool { return l.Status.State == v1alpha1.AuditLogOpen })
	first := time.Since(began)

	visit(t, proxy)
	witnessed := await(t, "the records of a session at the witness", func(ctx context.Context) error {
		return grown(ctx, instance, log.Status.Size)
	})

	// A crash is no conflict: the log is open, and goes on.
	if err := proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	log = auditLog(t, instance, "the log after a crash", func(*v1alpha1.AuditLog) bool { return true })
	if log.Status.State != v1alpha1.AuditLogOpen {
		t.Errorf("after SIGKILL the log is %s, want Open", log.Status.State)
	}
	restart(t, proxy)
	visit(t, proxy)
	log = auditLog(t, instance, "the log to go on after a crash", func(l *v1alpha1.AuditLog) bool { return l.Status.Size > log.Status.Size+2 })
	if log.Status.State != v1alpha1.AuditLogOpen || !consistent(log) {
		t.Errorf("after a restart the log is %+v", log.Status)
	}

	began = time.Now()
	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Since(began)
	log = auditLog(t, instance, "the log to be closed", func(l *v1alpha1.AuditLog) bool { return l.Status.State == v1alpha1.AuditLogClosed })
	if !meta.IsStatusConditionTrue(log.Status.Conditions, v1alpha1.ConditionComplete) || !consistent(log) {
		t.Errorf("after SIGTERM the log is %+v", log.Status)
	}

	// An older copy of the log, put in place while the proxy is down.
	older := t.TempDir() + "/older"
	copied(t, proxy.Spool, older)
	restart(t, proxy)
	for range 3 {
		visit(t, proxy)
	}
	honest := auditLog(t, instance, "the log to go on", func(l *v1alpha1.AuditLog) bool { return l.Status.Size > log.Status.Size+5 })
	if err := proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(proxy.Spool); err != nil {
		t.Fatal(err)
	}
	copied(t, older, proxy.Spool)
	restart(t, proxy)
	began = time.Now()
	log = auditLog(t, instance, "the conflict", func(l *v1alpha1.AuditLog) bool { return l.Status.State == v1alpha1.AuditLogConflict })
	found := time.Since(began)
	condition := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ConditionConsistent)
	if condition == nil || condition.Reason != v1alpha1.ReasonRolledBack && condition.Reason != v1alpha1.ReasonForked {
		t.Errorf("condition Consistent is %+v, want reason RolledBack or Forked", condition)
	}
	if log.Status.Size < honest.Status.Size {
		t.Errorf("the witness holds %d records, it held %d", log.Status.Size, honest.Status.Size)
	}
	await(t, "the problem in the Connection's status", func(ctx context.Context) error {
		object, err := world.ShopConnection(ctx)
		if err != nil {
			return err
		}
		for _, p := range object.Status.Proxies {
			if p.Instance == instance && (strings.HasPrefix(p.Message, v1alpha1.ReasonRolledBack) || strings.HasPrefix(p.Message, v1alpha1.ReasonForked)) {
				return nil
			}
		}
		return fmt.Errorf("proxies are %+v", object.Status.Proxies)
	})
	visit(t, proxy) // it serves all the same
	t.Logf("witnessed %s after the first session, %s after another; the closing checkpoint was held within the %s of an orderly stop; an older copy was found %s after the proxy was ready: %s: %s",
		first.Round(time.Millisecond), witnessed.Round(time.Millisecond), stopped.Round(time.Millisecond), found.Round(time.Millisecond), condition.Reason, condition.Message)
}

func restart(t *testing.T, proxy *stack.Proxy) {
	t.Helper()
	if err := proxy.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// copied copies a directory with modes and times.
func copied(t *testing.T, from, to string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cannot copy %q: %v: %s", from, err, output)
	}
}

// auditLog awaits the AuditLog of an instance in some state.
func auditLog(t *testing.T, instance, what string, is func(*v1alpha1.AuditLog) bool) (log *v1alpha1.AuditLog) {
	t.Helper()
	await(t, what, func(ctx context.Context) (err error) {
		if log, err = world.AuditLog(ctx, instance); err != nil {
			return err
		}
		if !is(log) {
			return fmt.Errorf("AuditLog %s is %+v", log.Name, log.Status)
		}
		return nil
	})
	return log
}

func grown(ctx context.Context, instance string, size int64) error {
	log, err := world.AuditLog(ctx, instance)
	if err != nil {
		return err
	}
	if log.Status.Size <= size {
		return errors.New("no more records")
	}
	return nil
}

func consistent(log *v1alpha1.AuditLog) bool {
	return meta.IsStatusConditionTrue(log.Status.Conditions, v1alpha1.ConditionConsistent)
}
