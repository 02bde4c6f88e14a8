// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"context"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/operator"
)

// victims are what the proxies of others made.
type victims struct {
	session, tillSession *v1alpha1.AuditSession
	request, tillRequest *v1alpha1.ApprovalRequest
	// own is a request of the attacker.
	own *v1alpha1.ApprovalRequest
}

// TestProxyTakenOver: checklist 53. Somebody with a proxy's token is the proxy of
// its Connection, and of no other.
func TestProxyTakenOver(t *testing.T) {
	wages, tillProxy := account(t, shop, "doorward-wages"), account(t, till, "doorward-till")
	for _, name := range []string{"orders", "stock"} {
		t.Run(name, func(t *testing.T) {
			me := account(t, shop, "doorward-"+name)
			v := victims{
				session: session(shop, "wages", "wages-of-"+name), tillSession: session(till, "till", "till-of-"+name),
				request: request(shop, "wages", "1"), tillRequest: request(till, "till", "2"), own: request(shop, name, "3"),
			}
			// The authorizer and admission see what was made a moment later.
			settles(t, "sessions and requests of others", func(ctx context.Context) error {
				for object, by := range map[client.Object]client.Client{v.session: wages, v.request: wages, v.tillSession: tillProxy, v.tillRequest: tillProxy, v.own: me} {
					if object.GetUID() != "" {
						continue
					}
					if err := by.Create(ctx, object); err != nil {
						return err
					}
				}
				return nil
			})
			check := unchanged(t, v.session, v.tillSession, v.request, v.tillRequest)
			t.Run("Secrets", func(t *testing.T) { refused(t, secretsOfOthers(t, me, name)) })
			t.Run("Objects", func(t *testing.T) { refused(t, objectsOfOthers(t, me, v)) })
			t.Run("Approvals", func(t *testing.T) { refused(t, approvals(t, me, v)) })
			t.Run("Rights", func(t *testing.T) { refused(t, moreRights(t, me, name)) })
			check()
		})
	}
}

func get(t *testing.T, c client.Client, object client.Object, namespace, name string) func() error {
	t.Helper()
	return func() error { return c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object) }
}

func merge(t *testing.T, c client.Client, object client.Object, patch string) func() error {
	t.Helper()
	return func() error {
		copied, _ := object.DeepCopyObject().(client.Object)
		return c.Patch(t.Context(), copied, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

func status(t *testing.T, c client.Client, object client.Object, patch string) func() error {
	t.Helper()
	return func() error {
		copied, _ := object.DeepCopyObject().(client.Object)
		return c.Status().Patch(t.Context(), copied, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

func named[T client.Object](object T, namespace, name string) T {
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// secretsOfOthers: checklist 41, 49.
func secretsOfOthers(t *testing.T, me client.Client, name string) map[string]attempt {
	t.Helper()
	all := map[string]attempt{
		"List":           {reason: "all Secrets of its namespace", try: func() error { return me.List(t.Context(), &corev1.SecretList{}, client.InNamespace(shop)) }},
		"ListCluster":    {reason: "all Secrets there are", try: func() error { return me.List(t.Context(), &corev1.SecretList{}) }},
		"ListConfigMaps": {reason: "all ConfigMaps of its namespace", try: func() error { return me.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(shop)) }},
		"SelectOther": {reason: "one of another, by way of a list", try: func() error {
			return me.List(t.Context(), &corev1.SecretList{}, client.InNamespace(shop), client.MatchingFields{"metadata.name": "wages-credential"})
		}},
		"SnapshotKey": {reason: "the key that signs what it obeys", try: get(t, me, &corev1.Secret{}, operator.Namespace, "doorward-snapshot-key")},
		"MaskKey":     {reason: "the key of masks", try: get(t, me, &corev1.Secret{}, operator.Namespace, "doorward-mask-key")},
		"CAKey":       {reason: "the key of the authority", try: get(t, me, &corev1.Secret{}, operator.Namespace, "doorward-ca")},
		"WitnessKey":  {reason: "the key of the witness", try: get(t, me, &corev1.Secret{}, operator.Namespace, "doorward-witness-key")},
		"KubeSystem":  {reason: "anything of the cluster's own", try: func() error { return me.List(t.Context(), &corev1.SecretList{}, client.InNamespace("kube-system")) }},
		"OwnSnapshot": {reason: "it does not write what it obeys", try: merge(t, me, named(&corev1.Secret{}, shop, "doorward-"+name+"-snapshot"), `{"data":{}}`)},
		"OwnSinks":    {reason: "nor what it sends records with", try: merge(t, me, named(&corev1.Secret{}, shop, "doorward-"+name+"-sinks"), `{"data":{}}`)},
		"NewSecret":   {reason: "nor makes Secrets", try: func() error { return me.Create(t.Context(), named(&corev1.Secret{}, shop, "new")) }},
		"DeleteOwn": {reason: "nor deletes them", try: func() error {
			return me.Delete(t.Context(), named(&corev1.Secret{}, shop, "doorward-"+name+"-snapshot"))
		}},
	}
	for of, namespace := range map[string]string{"wages": shop, "till": till} {
		for _, secret := range []string{of + "-credential", "doorward-" + of + "-snapshot", "doorward-" + of + "-serving", "doorward-" + of + "-sinks"} {
			all[secret] = attempt{reason: "a Secret of another Connection", try: get(t, me, &corev1.Secret{}, namespace, secret)}
		}
	}
	if name == "stock" {
		all["OwnCredential"] = attempt{reason: "a Managed proxy has its credential mounted", try: get(t, me, &corev1.Secret{}, shop, "stock-credential")}
	}
	return all
}

func objectsOfOthers(t *testing.T, me client.Client, v victims) map[string]attempt {
	t.Helper()
	const serve = "does not hold the verb serve"
	create := func(object client.Object) func() error {
		return func() error { return me.Create(t.Context(), object) }
	}
	return map[string]attempt{
		"Session":         {"a session of another Connection", serve, create(session(shop, "wages", "forged"))},
		"SessionNowhere":  {"of one that does not exist", serve, create(session(shop, "nothing", "forged"))},
		"SessionAway":     {"in another namespace", "", create(session(till, "till", "forged"))},
		"SessionStatus":   {"what became of another's", serve, status(t, me, v.session, `{"status":{"phase":"Ended"}}`)},
		"SessionEnd":      {"its end", "forbidden", merge(t, me, v.session, `{"spec":{"terminate":{"reason":"forged"}}}`)},
		"SessionActor":    {"who worked", "", merge(t, me, v.session, `{"spec":{"actor":{"username":"mallory"}}}`)},
		"SessionMoved":    {"whose it is", "", merge(t, me, v.session, `{"spec":{"connectionRef":{"name":"orders"}}}`)},
		"SessionLabels":   {"how it is found", "", merge(t, me, v.session, `{"metadata":{"labels":{"doorward.dev/connection":"orders"}}}`)},
		"SessionOwner":    {"what it goes away with", "", merge(t, me, v.session, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"x","uid":"x"}]}}`)},
		"SessionDeleted":  {"whether it exists", "", func() error { return me.Delete(t.Context(), v.session.DeepCopy()) }},
		"SessionsDeleted": {"nor its own", "", func() error { return me.DeleteAllOf(t.Context(), &v1alpha1.AuditSession{}, client.InNamespace(shop)) }},
		"SessionAwayEnd":  {"in another namespace", "", merge(t, me, v.tillSession, `{"spec":{"terminate":{"reason":"forged"}}}`)},
		"SessionsAway":    {"nor reads them there", "", func() error { return me.List(t.Context(), &v1alpha1.AuditSessionList{}, client.InNamespace(till)) }},
		"SessionsAll":     {"nor in the whole cluster", "", func() error { return me.List(t.Context(), &v1alpha1.AuditSessionList{}) }},
		"AuditLog":        {"what the witness holds", "", create(&v1alpha1.AuditLog{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "0123456789abcdef0123456789abcdef"}})},
		"AuditLogs":       {"nor deletes it", "", func() error { return me.DeleteAllOf(t.Context(), &v1alpha1.AuditLog{}, client.InNamespace(shop)) }},
		"Reports":         {"another's report", "", merge(t, me, named(&corev1.ConfigMap{}, shop, "doorward-wages-proxies"), `{"data":{"wages-1":"forged"}}`)},
		"Checkpoints":     {"another's log at the witness", "", merge(t, me, named(&corev1.ConfigMap{}, shop, "doorward-wages-checkpoints"), `{"data":{"wages-1":"forged"}}`)},
		"ReportsAway":     {"in another namespace", "", merge(t, me, named(&corev1.ConfigMap{}, till, "doorward-till-proxies"), `{"data":{"till-1":"forged"}}`)},
		"TrustBundle":     {"whom callers trust", "", merge(t, me, named(&corev1.ConfigMap{}, shop, "doorward-trust-bundle"), `{"data":{"ca.crt":"mine"}}`)},
		"Connection":      {"its Connection", "", merge(t, me, named(&v1alpha1.Connection{}, shop, "orders"), `{"spec":{"targets":[{"host":"evil.example","port":5432}]}}`)},
		"ConnectionState": {"what is said of it", "", status(t, me, named(&v1alpha1.Connection{}, shop, "orders"), `{"status":{"endpoint":"evil.example:1"}}`)},
		"Wages":           {"another's settings", "", get(t, me, &v1alpha1.Connection{}, shop, "wages")},
		"Policy":          {"policies", "", create(named(&v1alpha1.AccessPolicy{}, shop, "mine"))},
		"Policies":        {"nor reads them: it has them in its snapshot", "", func() error { return me.List(t.Context(), &v1alpha1.AccessPolicyList{}, client.InNamespace(shop)) }},
		"Provider":        {"who callers are", "", create(named(&v1alpha1.IdentityProvider{}, "", "mine"))},
		"Sink":            {"where records go", "", create(named(&v1alpha1.LogSink{}, "", "mine"))},
	}
}

// approvals: checklist 31 to 34. A proxy asks, and never answers.
func approvals(t *testing.T, me client.Client, v victims) map[string]attempt {
	t.Helper()
	const serve = "does not hold the verb serve"
	decision := func(r *v1alpha1.ApprovalRequest, approver string) string {
		return `{"spec":{"decisions":[{"verdict":"Approve","operationDigest":"` + r.Spec.Operation.Digest + `"` + approver + `}]}}`
	}
	decided := request(shop, v.own.Spec.ConnectionRef.Name, "4")
	decided.Spec.Decisions = []v1alpha1.Decision{{Verdict: v1alpha1.VerdictApprove, OperationDigest: decided.Spec.Operation.Digest}}
	fixed := request(shop, v.own.Spec.ConnectionRef.Name, "5")
	fixed.GenerateName, fixed.Name = "", "fixed"
	return map[string]attempt{
		"ForAnother":     {"a request of another Connection", serve, func() error { return me.Create(t.Context(), request(shop, "wages", "6")) }},
		"Away":           {"in another namespace", "", func() error { return me.Create(t.Context(), request(till, "till", "6")) }},
		"Decided":        {"one that is decided already", "", func() error { return me.Create(t.Context(), decided) }},
		"Named":          {"one with a name that somebody may have approved before", "", func() error { return me.Create(t.Context(), fixed) }},
		"Approve":        {"its own", "denied request", merge(t, me, v.own, decision(v.own, ""))},
		"ApproveAsOther": {"in somebody's name", "denied request", merge(t, me, v.own, decision(v.own, `,"approver":{"username":"bob","groups":["dba"]}`))},
		"ApproveOther":   {"another's", "denied request", merge(t, me, v.request, decision(v.request, ""))},
		"ApproveAway":    {"another namespace's", "", merge(t, me, v.tillRequest, decision(v.tillRequest, ""))},
		"Status":         {"nor says that it is approved", "", status(t, me, v.own, `{"status":{"phase":"Approved"}}`)},
		"StatusOther":    {"nor that another is", "", status(t, me, v.request, `{"status":{"phase":"Approved"}}`)},
		"UseUnapproved":  {"nor uses what is not approved", "only while the phase is Approved", merge(t, me, v.own, `{"spec":{"use":{"usedAt":"2026-01-01T00:00:00Z","proxyInstance":"`+v.own.Spec.Holder.ProxyInstance+`"}}}`)},
		"UseOther":       {"nor another's", "", merge(t, me, v.request, `{"spec":{"use":{"usedAt":"2026-01-01T00:00:00Z","proxyInstance":"wages-1"}}}`)},
		"Requester":      {"nor changes who asked", "", merge(t, me, v.own, `{"spec":{"requester":{"username":"mallory"}}}`)},
		"Statement":      {"or what for", "", merge(t, me, v.own, `{"spec":{"operation":{"statement":"SELECT 1"}}}`)},
		"Approvers":      {"or who decides", "", merge(t, me, v.own, `{"spec":{"approvers":[{"kind":"User","name":"system:serviceaccount:shop-access:doorward-orders"}]}}`)},
		"Delete":         {"or that it asked", "", func() error { return me.Delete(t.Context(), v.own.DeepCopy()) }},
	}
}

// moreRights: nothing that a proxy holds leads to more.
func moreRights(t *testing.T, me client.Client, name string) map[string]attempt {
	t.Helper()
	token := func(namespace, of string) func() error {
		return func() error {
			return me.SubResource("token").Create(t.Context(), named(&corev1.ServiceAccount{}, namespace, of), &authenticationv1.TokenRequest{})
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "mine"},
		Spec:       corev1.PodSpec{ServiceAccountName: "doorward-wages", Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	impersonate := func(user string, groups ...string) func() error {
		return func() error {
			config, err := env.ServiceAccountConfig(t.Context(), shop, "doorward-"+name)
			if err != nil {
				return err
			}
			config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
			return get(t, clientOf(t, config), &corev1.Secret{}, shop, "wages-credential")()
		}
	}
	all := map[string]attempt{
		"TokenOfOther":   {"another proxy's token", "", token(shop, "doorward-wages")},
		"TokenOfManager": {"the manager's", "", token(operator.Namespace, operator.Account)},
		"TokenAway":      {"one of another namespace", "", token(till, "doorward-till")},
		"TokenDefault":   {"that of the namespace's default account", "", token(shop, "default")},
		"Pod":            {"a pod that runs as another, or mounts what it wants", "", func() error { return me.Create(t.Context(), pod) }},
		"Pods":           {"pods at all", "", func() error { return me.List(t.Context(), &corev1.PodList{}, client.InNamespace(shop)) }},
		"Exec": {"entering one", "", func() error {
			config, err := env.ServiceAccountConfig(t.Context(), shop, "doorward-"+name)
			if err != nil {
				return err
			}
			c, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			return c.CoreV1().RESTClient().Post().Namespace(shop).Resource("pods").Name("doorward-wages-0").SubResource("exec").Param("command", "sh").Do(t.Context()).Error()
		}},
		"BeAdmin":   {"another user", "", impersonate("admin", "system:masters")},
		"BeManager": {"the manager", "", impersonate("system:serviceaccount:doorward-system:doorward-manager")},
		"OwnRole":   {"its own Role", "", merge(t, me, named(&rbacv1.Role{}, shop, "doorward-"+name), `{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["*"]}]}`)},
		"Role":      {"a Role", "", func() error { return me.Create(t.Context(), named(&rbacv1.Role{}, shop, "mine")) }},
		"Bind": {"a binding to another's Role", "", func() error {
			return me.Create(t.Context(), operator.Bind(shop, "mine", "Role", "doorward-wages", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: shop, Name: "doorward-" + name}))
		}},
		"BindOther": {"its name in another's binding", "", merge(t, me, named(&rbacv1.RoleBinding{}, shop, "doorward-wages"), `{"subjects":[{"kind":"ServiceAccount","namespace":"shop-access","name":"doorward-orders"}]}`)},
		"Account":   {"an account", "", func() error { return me.Create(t.Context(), named(&corev1.ServiceAccount{}, shop, "mine")) }},
		"Namespace": {"the namespace", "", merge(t, me, named(&corev1.Namespace{}, "", shop), `{"metadata":{"labels":{"mine":"yes"}}}`)},
	}
	if name == "stock" {
		all["OwnToken"] = attempt{"a Managed proxy has its token from the kubelet, and outlives its pod with none that it made", "", token(shop, "doorward-stock")}
	}
	return all
}
