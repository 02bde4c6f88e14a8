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
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// reader is a policy that lets a user read one table.
func reader(user, table string) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: user},
		Spec: v1alpha1.AccessPolicySpec{
			Subjects:    []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: user, IdentityProvider: "company"}},
			Connections: []v1alpha1.ConnectionSelector{{Name: stack.Connection}},
			Rules: []v1alpha1.Rule{
				{Name: "session", Effect: v1alpha1.EffectAllow, Actions: []string{"evaluate", "transaction", "session", "show", "set"}, Resources: []string{"*"}},
				{Name: "read", Effect: v1alpha1.EffectAllow, Actions: []string{"select"}, Resources: []string{table}},
			},
			Masks: []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}

// give creates a policy, which stays until the test ends, and waits until the
// proxies run it.
func give(t *testing.T, policy *v1alpha1.AccessPolicy) {
	t.Helper()
	must(t, world.Admin.Create(t.Context(), policy))
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(world.Admin.Delete(context.Background(), policy)); err != nil {
			t.Error(err)
		}
	})
	must(t, world.AwaitPolicy(t.Context(), stack.Connection, policy.Name))
}

// change edits an object.
func change[T client.Object](t *testing.T, object T, edit func(T)) {
	t.Helper()
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := world.Admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		edit(object)
		return world.Admin.Update(t.Context(), object)
	}))
}

// connection reads the shop's Connection.
func connection(ctx context.Context) (*v1alpha1.Connection, error) {
	var object v1alpha1.Connection
	err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: stack.Connection}, &object)
	return &object, err
}

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
	var all v1alpha1.AuditLogList
	if err := world.Admin.List(ctx, &all, client.InNamespace(stack.Namespace)); err != nil {
		return nil, err
	}
	for i := range all.Items {
		if all.Items[i].Spec.Instance == instance {
			return &all.Items[i], nil
		}
	}
	return nil, fmt.Errorf("no AuditLog of instance %q", instance)
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
