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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const (
	snapshotSecret   = "doorward-" + stack.Connection + "-snapshot"
	credentialSecret = stack.Connection + "-credential"
)

// talk lets a caller open sessions and run what touches no table.
var talk = stack.Talk()

// approval is a rule that lets the group dba decide.
func approval(name string, seconds int32) v1alpha1.Rule {
	return v1alpha1.Rule{
		Name: name, Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
		Approval: &v1alpha1.ApprovalTerms{
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, Minimum: 1, TimeoutSeconds: seconds,
		},
	}
}

// givePolicy creates policies for one test, and waits until the proxy runs them.
func givePolicy(t *testing.T, policies ...*v1alpha1.AccessPolicy) {
	t.Helper()
	stacktest.Give(t, world, policies...)
}

// change edits an object, and returns when the API server had accepted it.
func change[T client.Object](t *testing.T, object T, edit func(T)) time.Time {
	t.Helper()
	return stacktest.Change(t, world, object, edit)
}

// revision is that of the published snapshot.
func revision(t *testing.T) int64 {
	t.Helper()
	object, err := world.ShopConnection(t.Context())
	if err != nil || object.Status.Snapshot == nil {
		t.Fatalf("the Connection has no snapshot: %v", err)
	}
	return object.Status.Snapshot.Revision
}

// conditionIs says whether a condition of the Connection is as wanted; it
// returns the message.
func conditionIs(ctx context.Context, kind string, status metav1.ConditionStatus, reasons ...string) (string, error) {
	object, err := world.ShopConnection(ctx)
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
	c, err := stack.NewClient(config)
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
