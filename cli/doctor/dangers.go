// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

const admissionGroup = "admissionregistration.k8s.io"

// danger is a right that undoes a promise. Whoever has it is trusted as the manager is.
type danger struct {
	what  string
	to    []objects
	verbs []string
	// within says in which namespaces a right counts, beside one to all of them; in none
	// where it is 0.
	within within
	// ofConnections says that names of what it is about are those of Connections.
	ofConnections bool
	// concerns says whether a right to one object by its name counts; every name does
	// where it is nil.
	concerns func(w *world, namespace, name string) bool
	remedy   string
}

// objects are resources of a group.
type objects struct {
	group     string
	resources []string
}

type within int

const (
	withConnections within = 1 << iota
	operator
)

// authenticationGroup has what constrained impersonation is about (KEP-5284, from
// Kubernetes 1.35): beside the verbs here it takes impersonate-on:MODE:VERB on what is then
// asked for, without which these give nothing yet.
const authenticationGroup = "authentication.k8s.io"

// startsPods are pods, ways into them, and what makes them.
var startsPods = []objects{
	{resources: []string{"pods", "pods/exec", "pods/attach", "pods/ephemeralcontainers", "replicationcontrollers"}},
	{"apps", []string{"deployments", "daemonsets", "replicasets", "statefulsets"}},
	{"batch", []string{"cronjobs", "jobs"}},
}

// core are resources of the core group.
func core(resources ...string) []objects { return []objects{{resources: resources}} }

var dangers = []danger{
	{
		what: "impersonate users or groups, and so approve as somebody else", to: core("users", "groups"), verbs: []string{"impersonate"},
		remedy: "take the verb \"impersonate\" from their roles, or trust them with every approval",
	},
	{
		what: "impersonate users, groups or nodes by constrained impersonation, and so approve as somebody else, or read what pods of a node mount",
		to:   []objects{{authenticationGroup, []string{"users", "groups", "nodes"}}}, verbs: []string{"impersonate:user-info", "impersonate:arbitrary-node", "impersonate:associated-node"},
		remedy: "take the verbs \"impersonate:...\" from their roles, or trust them with every approval",
	},
	{
		what:  "impersonate ServiceAccounts beside Connections or in the operator's namespace, and so be a proxy, the manager, or a ServiceAccount that approves",
		to:    []objects{{resources: []string{"serviceaccounts"}}, {authenticationGroup, []string{"serviceaccounts"}}},
		verbs: []string{"impersonate", "impersonate:serviceaccount"}, within: withConnections | operator,
		remedy: "take the verbs \"impersonate\" and \"impersonate:serviceaccount\" from their roles",
	},
	{
		what: "serve Connections, and so ask for approvals in anybody's name and write of sessions that never were",
		to:   []objects{{v1alpha1.GroupName, []string{"connections"}}}, verbs: []string{v1alpha1.VerbServe}, within: withConnections, ofConnections: true,
		remedy: "take the verb \"serve\" from their roles: proxies alone have it",
	},
	{
		what: "give rights that they do not have, and so take any of these",
		to:   []objects{{rbacv1.GroupName, []string{"roles", "clusterroles"}}}, verbs: []string{"bind", "escalate"}, within: withConnections | operator,
		remedy: "take the verbs \"bind\" and \"escalate\" from their roles, or trust them with all that can be bound",
	},
	{
		what:  "write approvalrequests/status, which is the manager's alone",
		to:    []objects{{v1alpha1.GroupName, []string{"approvalrequests/status"}}},
		verbs: []string{"update", "patch"}, within: withConnections,
		remedy: "take update and patch on approvalrequests/status from their roles",
	},
	{
		what: "change admission policies or definitions, without which approvals can be forged",
		to: []objects{
			{admissionGroup, []string{
				"validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
			}},
			{apiextensionsv1.GroupName, []string{"customresourcedefinitions"}},
		},
		verbs: []string{"create", "update", "patch", "delete", "deletecollection"},
		concerns: func(_ *world, _, name string) bool {
			return ours(name) || strings.HasSuffix(name, "."+v1alpha1.GroupName)
		},
		remedy: "leave that to the cluster's admins",
	},
	{
		what: "make or change admission webhooks, and so read Secrets, and write a decision into what an approver sends",
		to:   []objects{{admissionGroup, []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}}}, verbs: []string{"create", "update", "patch"},
		remedy: "leave that to the cluster's admins",
	},
	{
		what: "have certificates signed in anybody's name, and so approve as somebody else",
		to:   []objects{{certificatesv1.GroupName, []string{"signers"}}}, verbs: []string{"approve", "sign"},
		concerns: func(_ *world, _, name string) bool {
			return name == certificatesv1.KubeAPIServerClientSignerName || name == "kubernetes.io/*"
		},
		remedy: "take the verbs \"approve\" and \"sign\" on the signer " + certificatesv1.KubeAPIServerClientSignerName + " from their roles",
	},
	{
		what: "reach kubelets through the API server, and so enter any pod, which needs no more than get", to: core("nodes/proxy"), verbs: []string{"get", "create"},
		remedy: "take nodes/proxy from their roles: nodes/metrics, nodes/stats and nodes/log are resources of their own",
	},
	{
		what: "read Secrets beside Connections: credentials of targets, and snapshots", to: core("secrets"),
		verbs: []string{"get", "list", "watch"}, within: withConnections, concerns: (*world).secret,
		remedy: "keep Connections in namespaces of their own, and give no role there that reads Secrets, such as edit",
	},
	{
		what: "read the manager's Secrets: the keys that sign certificates and snapshots", to: core("secrets"),
		verbs: []string{"get", "list", "watch"}, within: operator, concerns: func(_ *world, _, name string) bool { return ours(name) },
		remedy: "give no role in the operator's namespace that reads Secrets",
	},
	{
		what: "change the manager's Secrets and ConfigMaps: the keys by which proxies know who is who", to: core("secrets", "configmaps"),
		verbs: []string{"update", "patch"}, within: operator, concerns: func(_ *world, _, name string) bool { return ours(name) },
		remedy: "give no role in the operator's namespace that writes Secrets or ConfigMaps, such as edit",
	},
	{
		what: "take tokens of ServiceAccounts beside Connections or in the operator's namespace, and so be a proxy or the manager", to: core("serviceaccounts/token"),
		verbs: []string{"create"}, within: withConnections | operator, concerns: func(_ *world, _, name string) bool { return ours(name) },
		remedy: "give serviceaccounts/token to those only who enrol proxies, and to nobody in the operator's namespace",
	},
	{
		what: "start or enter pods beside Connections, and so take credentials of targets",
		to:   startsPods, verbs: []string{"create", "update", "patch"}, within: withConnections,
		remedy: "keep Connections in namespaces of their own, where nobody else starts pods, Deployments, Jobs and the like",
	},
	{
		what: "start or enter pods in the operator's namespace, and so take the manager's keys",
		to:   startsPods, verbs: []string{"create", "update", "patch"}, within: operator,
		remedy: "let nothing but the manager run in its namespace, and nobody else start or enter pods there",
	},
}
