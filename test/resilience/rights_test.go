// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

const otherConnection = "other-db"

// TestProxyRights tries, with the proxy's own ServiceAccount, what a proxy that
// was taken over would try (checklist 32, 53).
func TestProxyRights(t *testing.T) {
	other := otherProxy(t)
	proxy := accountOf(t, stack.Connection)
	s := login(t, alice)
	statement, text := update(t, 40)
	own := mustHold(t, s, statement)
	spec := *own.request.Spec.DeepCopy()
	spec.ConnectionRef.Name = otherConnection
	spec.Requester.Username = "carol"
	request := &v1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, GenerateName: otherConnection + "-"}, Spec: spec}
	foreign := request.DeepCopy()
	if err := other.Create(t.Context(), foreign); err != nil {
		t.Fatalf("the other Connection's proxy cannot ask: %v", err)
	}
	theirs := sessionOf(otherConnection, "other-db-session")
	if err := other.Create(t.Context(), theirs); err != nil {
		t.Fatalf("the other Connection's proxy cannot show a session: %v", err)
	}
	requester := creator(t)
	merge := func(c client.Client, object client.Object, patch string) error {
		return c.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	const serve, forbidden = "does not hold the verb serve", "forbidden"
	for name, tc := range map[string]struct {
		reason, text string
		try          func() error
	}{
		"SessionOfAnother": {"a proxy shows its own sessions only", serve, func() error {
			return proxy.Create(t.Context(), sessionOf(otherConnection, "forged-session"))
		}},
		"SessionStatusOfAnother": {"nor rewrites what became of others'", serve, func() error {
			return proxy.Status().Patch(t.Context(), theirs.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"phase":"Ended"}}`)))
		}},
		"TerminateAnother": {"nor ends them", forbidden, func() error {
			return merge(proxy, theirs.DeepCopy(), `{"spec":{"terminate":{"reason":"forged"}}}`)
		}},
		"RequestOfAnother": {"nor asks for others, in whosever name", serve, func() error {
			return proxy.Create(t.Context(), request.DeepCopy())
		}},
		"UseOfAnother": {"nor uses what they were granted", "spec.use is set by proxies", func() error {
			return merge(proxy, foreign.DeepCopy(), `{"spec":{"use":{"usedAt":"2026-01-01T00:00:00Z","proxyInstance":"`+spec.Holder.ProxyInstance+`"}}}`)
		}},
		"Decide": {"a proxy approves nothing, its own requests least of all", "cannot approve: a system user", func() error {
			return own.decide(t.Context(), proxy, v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove})
		}},
		"DecideForAnother": {"nor in an approver's name", "must be the user who makes it", func() error {
			return own.decide(t.Context(), proxy, v1alpha1.Decision{
				Verdict: v1alpha1.VerdictApprove, Approver: &v1alpha1.DecisionApprover{Username: "bob", Groups: []string{"dba", "system:authenticated"}},
			})
		}},
		"UseBeforeApproval": {"nor uses what is not approved", "only while the phase is Approved", func() error {
			return merge(proxy, own.request.DeepCopy(), `{"spec":{"use":{"usedAt":"2026-01-01T00:00:00Z","proxyInstance":"`+spec.Holder.ProxyInstance+`"}}}`)
		}},
		"RequestStatus": {"nor says itself that it is approved", forbidden, func() error {
			return proxy.Status().Patch(t.Context(), own.request.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"phase":"Approved"}}`)))
		}},
		"Requester": {"who may create requests, and does not serve, names nobody", serve, func() error {
			mine := request.DeepCopy()
			mine.Spec.ConnectionRef.Name = stack.Connection
			return requester.Create(t.Context(), mine)
		}},
		"OtherSecret": {"a proxy reads the Secrets of its own Connection", forbidden, func() error {
			return proxy.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: otherConnection + "-credential"}, &corev1.Secret{})
		}},
		"OtherSnapshot": {"that is true of snapshots too", forbidden, func() error {
			return proxy.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-" + otherConnection + "-snapshot"}, &corev1.Secret{})
		}},
		"AllSecrets": {"and of lists", forbidden, func() error {
			return proxy.List(t.Context(), &corev1.SecretList{}, client.InNamespace(stack.Namespace))
		}},
		"OwnSnapshotWritten": {"a proxy does not write what it obeys", forbidden, func() error {
			return merge(proxy, secret(t, snapshotSecret), `{"data":{}}`)
		}},
		"OtherToken": {"nor becomes another proxy", forbidden, func() error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "doorward-" + otherConnection}}
			return proxy.SubResource("token").Create(t.Context(), account, &authenticationv1.TokenRequest{})
		}},
		"Policy": {"nor writes policy", forbidden, func() error {
			return proxy.Create(t.Context(), stack.Policy("forged", stack.Users("mallory"), talk))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			refusedWith(t, tc.try(), tc.text)
		})
	}
	own.still(t)
	never(t, text)
	if err := s.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = own.answer(t)
	never(t, text)
}

// otherProxy makes a second Connection, and is its proxy.
func otherProxy(t *testing.T) client.Client {
	t.Helper()
	create(t, world.CredentialSecret(otherConnection+"-credential", otherConnection, world.Canary))
	first, err := world.ShopConnection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: otherConnection}, Spec: *first.Spec.DeepCopy(),
	}
	second.Spec.Credential.Secret.Name = otherConnection + "-credential"
	create(t, second)
	await(t, "the rights of the other Connection's proxy", func(ctx context.Context) error {
		return world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-" + otherConnection}, &rbacv1.RoleBinding{})
	})
	// The authorizer of the API server sees new roles a moment later.
	c := accountOf(t, otherConnection)
	await(t, "the authorizer", func(ctx context.Context) error {
		return c.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: otherConnection}, &v1alpha1.Connection{})
	})
	return c
}

// accountOf is a client with the ServiceAccount of a Connection's proxies.
func accountOf(t *testing.T, connection string) client.Client {
	t.Helper()
	config, err := world.Control.ServiceAccountConfig(t.Context(), stack.Namespace, "doorward-"+connection)
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, config)
}

// creator is a person who may create ApprovalRequests, and serves nothing.
func creator(t *testing.T) client.Client {
	t.Helper()
	create(t, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "creator"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"approvalrequests"}, Verbs: []string{"create"}}},
	})
	bind(t, "gina", "Role", "creator")
	return person(t, "gina")
}

func sessionOf(connection, name string) *v1alpha1.AuditSession {
	return &v1alpha1.AuditSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: name, Labels: map[string]string{"doorward.dev/connection": connection}},
		Spec: v1alpha1.AuditSessionSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: connection}, ClientAddress: "192.0.2.1:5000",
			ProxyInstance: connection + "-1", StartedAt: metav1.Now(),
			Actor: v1alpha1.Actor{
				Issuer: world.Issuer.URL, Subject: "carol", Username: "carol", Kind: v1alpha1.ActorHuman,
				IdentityProvider: "company", AuthenticationMethod: "oidc",
			},
		},
	}
}
