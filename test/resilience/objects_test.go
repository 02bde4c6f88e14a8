// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

const (
	snapshotSecret   = "doorward-" + stack.Connection + "-snapshot"
	credentialSecret = stack.Connection + "-credential"
)

// talk lets a caller open sessions and run what touches no table.
var talk = v1alpha1.Rule{
	Name: "session", Effect: v1alpha1.EffectAllow,
	Actions: []string{"evaluate", "transaction", "session", "show", "set"}, Resources: []string{"*"},
}

// allow is a rule.
func allow(name string, actions, resources []string) v1alpha1.Rule {
	return v1alpha1.Rule{Name: name, Effect: v1alpha1.EffectAllow, Actions: actions, Resources: resources}
}

// approval is a rule that lets the group dba decide.
func approval(name string, seconds int32) v1alpha1.Rule {
	return v1alpha1.Rule{
		Name: name, Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
		Approval: &v1alpha1.ApprovalTerms{
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, Minimum: 1, TimeoutSeconds: seconds,
		},
	}
}

// subjects are users.
func subjects(users ...string) []v1alpha1.Subject {
	all := make([]v1alpha1.Subject, len(users))
	for i, user := range users {
		all[i] = v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: user, IdentityProvider: "company"}
	}
	return all
}

func policyOf(name string, who []v1alpha1.Subject, rules ...v1alpha1.Rule) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: name},
		Spec: v1alpha1.AccessPolicySpec{
			Subjects: who, Connections: []v1alpha1.ConnectionSelector{{Name: stack.Connection}}, Rules: rules, Masks: []v1alpha1.Mask{},
			Limits: []v1alpha1.Limit{},
		},
	}
}

// givePolicy creates a policy for one test, and waits until the proxy runs it.
func givePolicy(t *testing.T, policies ...*v1alpha1.AccessPolicy) {
	t.Helper()
	for _, policy := range policies {
		if err := world.Admin.Create(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := world.Admin.Delete(context.Background(), policy); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		})
	}
	for _, policy := range policies {
		if err := world.AwaitPolicy(t.Context(), stack.Connection, policy.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// change edits an object, and returns when the API server had accepted it.
func change[T client.Object](t *testing.T, object T, edit func(T)) time.Time {
	t.Helper()
	var accepted time.Time
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := world.Admin.Get(context.WithoutCancel(t.Context()), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		edit(object)
		err := world.Admin.Update(context.WithoutCancel(t.Context()), object)
		accepted = time.Now()
		return err
	})
	if err != nil {
		t.Fatalf("cannot change %T %q: %v", object, object.GetName(), err)
	}
	return accepted
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
	if err != nil || object.Status.Snapshot == nil {
		t.Fatalf("the Connection has no snapshot: %v", err)
	}
	return object.Status.Snapshot.Revision
}

// conditionIs says whether a condition of the Connection is as wanted; it
// returns the message.
func conditionIs(ctx context.Context, kind string, status metav1.ConditionStatus, reasons ...string) (string, error) {
	object, err := connection(ctx)
	if err != nil {
		return "", err
	}
	found := meta.FindStatusCondition(object.Status.Conditions, kind)
	if found == nil || found.Status != status {
		return "", fmt.Errorf("condition %s is %+v, want %s", kind, found, status)
	}
	for _, reason := range reasons {
		if found.Reason != reason {
			return "", fmt.Errorf("condition %s has reason %s, want %s: %s", kind, found.Reason, reason, found.Message)
		}
	}
	return found.Message, nil
}

// secret reads a Secret of the shop's namespace.
func secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	var object corev1.Secret
	if err := world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: name}, &object); err != nil {
		t.Fatal(err)
	}
	return &object
}

// clientOf is a client with somebody's configuration.
func clientOf(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme, err := stack.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// person is a client as the issuer proves somebody to the API server.
func person(t *testing.T, user string, groups ...string) client.Client {
	t.Helper()
	config, err := world.User(user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, config)
}

// auditSessions are all of the shop, by the client's address: of those with the
// same, the newest.
func auditSessions(ctx context.Context) (map[string]*v1alpha1.AuditSession, error) {
	var list v1alpha1.AuditSessionList
	if err := world.Admin.List(ctx, &list, client.InNamespace(stack.Namespace)); err != nil {
		return nil, fmt.Errorf("cannot list AuditSessions: %w", err)
	}
	all := map[string]*v1alpha1.AuditSession{}
	for i := range list.Items {
		object := &list.Items[i]
		if other := all[object.Spec.ClientAddress]; other == nil || other.Spec.StartedAt.Before(&object.Spec.StartedAt) {
			all[object.Spec.ClientAddress] = object
		}
	}
	return all, nil
}

// auditSession finds the object of a session by the client's address.
func auditSession(ctx context.Context, s *session) (*v1alpha1.AuditSession, error) {
	all, err := auditSessions(ctx)
	if err != nil {
		return nil, err
	}
	object := all[s.local]
	if object == nil || object.Spec.StartedAt.Time.Before(s.began.Truncate(time.Second)) {
		return nil, fmt.Errorf("no AuditSession of client %s since %s", s.local, s.began)
	}
	return object, nil
}

// lower is a name fit for objects.
func lower(name string) string { return strings.ToLower(name) }

// startManager brings the manager back, and waits until all is well.
func startManager(t *testing.T) {
	t.Helper()
	// A test that ends has no context any more.
	ctx := context.WithoutCancel(t.Context())
	if err := world.StartManager(ctx); err != nil {
		t.Fatal(err)
	}
	if err := world.WaitReady(ctx, stack.Connection); err != nil {
		t.Fatal(err)
	}
}
