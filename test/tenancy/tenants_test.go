// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/operator"
)

// TestTenants: the admin of one namespace of Connections, with everything that
// Kubernetes and Doorward give an admin of a namespace, reaches nothing of the other.
func TestTenants(t *testing.T) {
	const user = "anna"
	subject := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}
	for _, role := range []string{"admin", "doorward-admin", "doorward-approver", "doorward-requester"} {
		must(t, admin.Create(t.Context(), operator.Bind(shop, user+"-"+role, "ClusterRole", role, subject)))
	}
	config, err := env.AddUser(user)
	must(t, err)
	me := clientOf(t, config)
	settles(t, "what the admin may do at home", func(ctx context.Context) error {
		return errors.Join(me.List(ctx, &v1alpha1.ConnectionList{}, client.InNamespace(shop)), me.List(ctx, &corev1.SecretList{}, client.InNamespace(shop)))
	})
	theirs := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: till, Name: "till"}}
	snapshot := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: till, Name: "doorward-till-snapshot"}}
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(snapshot), snapshot))
	before := snapshot.Data["snapshot"]
	create := func(object client.Object) func() error {
		return func() error { return me.Create(t.Context(), object) }
	}
	serve := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "serve"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"connections"}, Verbs: []string{v1alpha1.VerbServe}},
	}}
	refused(t, map[string]attempt{
		"Connections": {"the other's Connections", "", func() error { return me.List(t.Context(), &v1alpha1.ConnectionList{}, client.InNamespace(till)) }},
		"Cluster":     {"all there are", "", func() error { return me.List(t.Context(), &v1alpha1.ConnectionList{}) }},
		"Connection":  {"changing one", "", merge(t, me, theirs, `{"spec":{"maxStalenessSeconds":1}}`)},
		"Policy":      {"a policy there", "", create(named(policy("mine", "till"), till, "mine"))},
		"Credential":  {"the credential", "", get(t, me, &corev1.Secret{}, till, "till-credential")},
		"Snapshot":    {"the snapshot", "", get(t, me, &corev1.Secret{}, till, "doorward-till-snapshot")},
		"Sessions":    {"who works there", "", func() error { return me.List(t.Context(), &v1alpha1.AuditSessionList{}, client.InNamespace(till)) }},
		"Requests":    {"what they ask for", "", func() error { return me.List(t.Context(), &v1alpha1.ApprovalRequestList{}, client.InNamespace(till)) }},
		"Request":     {"asking there", "", create(request(till, "till", "7"))},
		"Bind":        {"binding oneself there", "", create(operator.Bind(till, "mine", "ClusterRole", "doorward-editor", subject))},
		"Token": {"the proxy's token", "", func() error {
			return me.SubResource("token").Create(t.Context(), named(&corev1.ServiceAccount{}, till, "doorward-till"), &authenticationv1.TokenRequest{})
		}},
		"ManagerToken": {"the manager's token", "", func() error {
			return me.SubResource("token").Create(t.Context(), named(&corev1.ServiceAccount{}, operator.Namespace, operator.Account), &authenticationv1.TokenRequest{})
		}},
		"Keys":        {"the manager's keys", "", get(t, me, &corev1.Secret{}, operator.Namespace, "doorward-ca")},
		"TrustBundle": {"whom callers trust there", "", merge(t, me, named(&corev1.ConfigMap{}, till, "doorward-trust-bundle"), `{"data":{"ca.crt":"mine"}}`)},
		"Serve":       {"granting what only proxies hold, also at home", "attempting to grant", create(serve)},
		"Provider":    {"an IdentityProvider, which is everybody's, with a role bound in a namespace", "", create(named(&v1alpha1.IdentityProvider{}, "", "mine"))},
		"Providers":   {"nor reading them", "", func() error { return me.List(t.Context(), &v1alpha1.IdentityProviderList{}) }},
		"Sink":        {"nor a LogSink, by which one would have all records", "", create(named(&v1alpha1.LogSink{}, "", "mine"))},
		"SinkChanged": {"nor changing one", "", merge(t, me, named(&v1alpha1.LogSink{}, "", "stdout"), `{"spec":{"type":"Stdout"}}`)},
		"Session":     {"forging a session at home, as an admin", "", create(session(shop, "orders", "forged"))},
		"Log":         {"or what the witness holds", "", func() error { return me.DeleteAllOf(t.Context(), &v1alpha1.AuditLog{}, client.InNamespace(shop)) }},
	})

	t.Run("Selector", func(t *testing.T) {
		mine := policy("wide", "till")
		mine.Namespace, mine.Spec.Connections = shop, append(mine.Spec.Connections, v1alpha1.ConnectionSelector{Name: "orders"})
		must(t, me.Create(t.Context(), mine))
		settles(t, "the policy at home", func(ctx context.Context) error {
			if err := admin.Get(ctx, client.ObjectKeyFromObject(mine), mine); err != nil {
				return err
			}
			if !slices.ContainsFunc(mine.Status.Connections, func(c v1alpha1.SelectedConnection) bool { return c.Name == "orders" && c.Revision > 0 }) {
				return fmt.Errorf("it is %+v", mine.Status)
			}
			return nil
		})
		if slices.ContainsFunc(mine.Status.Connections, func(c v1alpha1.SelectedConnection) bool { return c.Name == "till" }) {
			t.Error("a policy selects a Connection of another namespace")
		}
		must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(snapshot), snapshot))
		if string(snapshot.Data["snapshot"]) != string(before) {
			t.Error("a policy of one namespace changed the snapshot of another's Connection")
		}
	})
	t.Run("ServerNames", func(t *testing.T) { serverNames(t, me) })
	t.Run("SharedCredential", func(t *testing.T) { sharedCredential(t, me) })
}

// serverNames: no certificate for the proxy of another namespace, whose callers
// would give their tokens to whoever has it.
func serverNames(t *testing.T, me client.Client) {
	t.Helper()
	for name, server := range map[string]string{
		"service": "doorward-till." + till + ".svc", "full": "doorward-till." + till + ".svc.cluster.local",
		"wildcard": till + ".svc", "taken": "till.example.org",
	} {
		t.Run(name, func(t *testing.T) {
			c := connection(shop, "fake-"+name, v1alpha1.PlacementExternal, server, "localhost")
			c.Spec.Credential.Secret.Name = "fake-" + name
			must(t, me.Create(t.Context(), c))
			settles(t, "the refusal", func(ctx context.Context) error {
				if err := admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
					return err
				}
				condition := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionServingCertificateReady)
				if condition == nil || condition.Status != metav1.ConditionFalse || condition.Reason != v1alpha1.ReasonCertificateFailed {
					return fmt.Errorf("condition is %+v", condition)
				}
				return nil
			})
			var all corev1.SecretList
			must(t, admin.List(t.Context(), &all, client.InNamespace(shop)))
			for i := range all.Items {
				if block, _ := pem.Decode(all.Items[i].Data[corev1.TLSCertKey]); block != nil {
					certificate, err := x509.ParseCertificate(block.Bytes)
					must(t, err)
					if certificate.VerifyHostname(server) == nil {
						t.Errorf("Secret %q has a certificate for %q", all.Items[i].Name, server)
					}
				}
			}
		})
	}
}

// sharedCredential: naming the credential Secret of another Connection does not
// let one's own proxies read it, nor does it close the other.
func sharedCredential(t *testing.T, me client.Client) {
	t.Helper()
	wages := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "wages"}}
	settles(t, "the Connection that has the Secret", func(ctx context.Context) error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(wages), wages); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(wages.Status.Conditions, v1alpha1.ConditionAccepted) {
			return fmt.Errorf("its status is %+v", wages.Status)
		}
		return nil
	})
	for name, placement := range map[string]v1alpha1.Placement{"thief": v1alpha1.PlacementExternal, "burglar": v1alpha1.PlacementManaged} {
		c := connection(shop, name, placement, "localhost")
		c.Spec.Credential.Secret.Name = "wages-credential"
		must(t, me.Create(t.Context(), c))
		t.Cleanup(func() {
			if err := admin.Delete(context.Background(), c); err != nil {
				t.Error(err)
			}
		})
		settles(t, "the refusal", func(ctx context.Context) error {
			if err := admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			condition := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionAccepted)
			if condition == nil || condition.Status != metav1.ConditionFalse || !strings.Contains(condition.Message, "belongs to one Connection") {
				return fmt.Errorf("condition is %+v", condition)
			}
			return admin.Get(ctx, client.ObjectKey{Namespace: shop, Name: "doorward-" + name}, &rbacv1.RoleBinding{})
		})
		refused(t, map[string]attempt{
			"Read": {"the proxies of a Connection that names somebody else's Secret do not read it", "", get(t, account(t, shop, "doorward-"+name), &corev1.Secret{}, shop, "wages-credential")},
		})
	}
	var set appsv1.StatefulSet
	settles(t, "the pods", func(ctx context.Context) error {
		return admin.Get(ctx, client.ObjectKey{Namespace: shop, Name: "doorward-burglar"}, &set)
	})
	for _, v := range set.Spec.Template.Spec.Volumes {
		if v.Secret != nil {
			t.Errorf("the pods of a Connection that names somebody else's Secret mount %q", v.Secret.SecretName)
		}
	}
	revision := wages.Status.Snapshot.Revision
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(wages), wages))
	if !meta.IsStatusConditionTrue(wages.Status.Conditions, v1alpha1.ConditionAccepted) || wages.Status.Snapshot.Revision != revision {
		t.Errorf("who names a Secret changes the Connection that has it: %+v", wages.Status)
	}
}

// policy lets somebody do all there is to do at a Connection.
func policy(name, connection string) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.AccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{},
			Subjects:    []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "mallory", IdentityProvider: "company"}},
			Connections: []v1alpha1.ConnectionSelector{{Name: connection}},
			Rules:       []v1alpha1.Rule{{Name: "all", Effect: v1alpha1.EffectAllow, Actions: []string{"*"}, Resources: []string{"*"}}},
			Masks:       []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}
