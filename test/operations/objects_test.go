// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// reader is a policy that lets a user read one table.
func reader(user, table string) *v1alpha1.AccessPolicy {
	return stack.Policy(user, stack.Users(user), stack.Talk(), stack.Allow("read", []string{"select"}, table))
}

// give creates a policy, which stays until the test ends, and waits until the
// proxies run it.
func give(t *testing.T, policy *v1alpha1.AccessPolicy) {
	t.Helper()
	stacktest.Give(t, world, policy)
}

// change edits an object.
func change[T client.Object](t *testing.T, object T, edit func(T)) {
	t.Helper()
	stacktest.Change(t, world, object, edit)
}

// connection reads the shop's Connection.
func connection(ctx context.Context) (*v1alpha1.Connection, error) { return world.ShopConnection(ctx) }

// revision is that of the published snapshot.
func revision(t *testing.T) int64 {
	t.Helper()
	object, err := connection(t.Context())
	must(t, err)
	if object.Status.Snapshot == nil {
		t.Fatal("the Connection has no snapshot")
	}
	return object.Status.Snapshot.Revision
}

// present says whether all proxies run a snapshot of a revision above one, and
// the Connection is ready.
func present(ctx context.Context, above int64) error {
	object, err := connection(ctx)
	if err != nil {
		return err
	}
	if s := object.Status.Snapshot; s == nil || s.Revision <= above {
		return fmt.Errorf("published is %+v, want a revision above %d; proxies are %+v", s, above, object.Status.Proxies)
	}
	if c := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != metav1.ConditionTrue {
		return fmt.Errorf("ready is %+v", c)
	}
	if len(object.Status.Proxies) == 0 {
		return errors.New("no proxy reports")
	}
	for _, p := range object.Status.Proxies {
		if p.Revision != object.Status.Snapshot.Revision || p.Message != "" {
			return fmt.Errorf("proxy %+v, published is revision %d", p, object.Status.Snapshot.Revision)
		}
	}
	return nil
}

// auditLogOf is the AuditLog of an instance.
func auditLogOf(ctx context.Context, instance string) (*v1alpha1.AuditLog, error) {
	return world.AuditLog(ctx, instance)
}

// witnessed says whether the witness holds at least a number of records of an
// instance's log, and nothing that contradicts them.
func witnessed(ctx context.Context, instance string, size int64) error {
	log, err := auditLogOf(ctx, instance)
	if err != nil {
		return err
	}
	if log.Status.Size < size || log.Status.State != v1alpha1.AuditLogOpen ||
		!meta.IsStatusConditionTrue(log.Status.Conditions, v1alpha1.ConditionConsistent) {
		return fmt.Errorf("AuditLog is %+v, want at least %d records, open and consistent", log.Status, size)
	}
	return nil
}
