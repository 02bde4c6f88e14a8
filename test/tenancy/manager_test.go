// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/operator"
)

// TestManagerTakenOver: what the manager's token is good for ends at the namespaces
// that it is bound to. What it can do there, RBAC cannot take from it:
// docs/threat-model.md says so.
func TestManagerTakenOver(t *testing.T) {
	me := account(t, operator.Namespace, operator.Account)
	create := func(object client.Object) func() error {
		return func() error { return me.Create(t.Context(), object) }
	}
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: operator.Namespace, Name: operator.Account}
	secrets := []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
	refused(t, map[string]attempt{
		"Secrets":        {"all Secrets there are", "", func() error { return me.List(t.Context(), &corev1.SecretList{}) }},
		"SecretsForeign": {"those of a namespace where nobody bound it", "", func() error { return me.List(t.Context(), &corev1.SecretList{}, client.InNamespace(private)) }},
		"SecretsSystem":  {"those of the cluster", "", func() error { return me.List(t.Context(), &corev1.SecretList{}, client.InNamespace("kube-system")) }},
		"MaskKey":        {"the key of masks is made once", "", merge(t, me, named(&corev1.Secret{}, operator.Namespace, "doorward-mask-key"), `{"data":{}}`)},
		"OtherSecret":    {"nor does it change Secrets beside its keys", "", merge(t, me, named(&corev1.Secret{}, operator.Namespace, "somebody"), `{"data":{}}`)},
		"Pod":            {"running something", "", create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: private, Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}})},
		"PodHere":        {"directly, where it makes workloads", "", create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}})},
		"ClusterRole":    {"a ClusterRole", "", create(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "mine"}, Rules: secrets})},
		"ClusterBinding": {"a ClusterRoleBinding", "", create(&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "mine"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: []rbacv1.Subject{subject},
		})},
		"Bind":        {"a binding of more than it holds", "attempting to grant", create(operator.Bind(shop, "mine", "ClusterRole", "admin", subject))},
		"Role":        {"a Role of more than it holds", "attempting to grant", create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "mine"}, Rules: secrets})},
		"BindForeign": {"a binding elsewhere", "", create(operator.Bind(private, "mine", "ClusterRole", "doorward-namespace", subject))},
		"TokenForeign": {"tokens elsewhere", "", func() error {
			return me.SubResource("token").Create(t.Context(), named(&corev1.ServiceAccount{}, "kube-system", "default"), &authenticationv1.TokenRequest{})
		}},
		"Policy":     {"policies: it obeys them", "", create(named(policy("mine", "orders"), shop, "mine"))},
		"Connection": {"Connections", "", merge(t, me, named(&v1alpha1.Connection{}, shop, "orders"), `{"spec":{"targets":[{"host":"evil.example","port":5432}]}}`)},
		"Sink":       {"LogSinks", "", create(named(&v1alpha1.LogSink{}, "", "mine"))},
		"Provider":   {"IdentityProviders", "", create(named(&v1alpha1.IdentityProvider{}, "", "mine"))},
		"Admission": {"the admission policies that hold it, too", "", func() error {
			return me.Patch(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "doorward-approvalrequest-update"}},
				client.RawPatch(types.MergePatchType, []byte(`{"spec":{"validationActions":["Audit"]}}`)))
		}},
		"AdmissionDeleted": {"nor deletes them", "", func() error {
			return me.Delete(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "doorward-approvalrequest-update"}})
		}},
	})
	// It may make requests, and decides on none.
	r := request(shop, "orders", "8")
	must(t, me.Create(t.Context(), r))
	refused(t, map[string]attempt{
		"Approve": {"approving", "denied request", merge(t, me, r, `{"spec":{"decisions":[{"verdict":"Approve","operationDigest":"`+r.Spec.Operation.Digest+`"}]}}`)},
	})
}
