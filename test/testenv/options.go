// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import "io"

// Options of [Start]. The zero value is a bare API server without the project's objects.
type Options struct {
	// Dir holds data, certificates and logs. A temporary folder, removed by [Env.Stop],
	// where empty.
	Dir string
	// Assets is the folder of the binaries; [Assets] finds it where empty.
	Assets string
	// CRDs installs config/crd/bases and waits until they are served.
	CRDs bool
	// Admission applies config/admission and waits, where there are the CRDs too, until the
	// API server enforces it, which is a moment later.
	Admission bool
	// ControllerManager runs kube-controller-manager, without which namespaces are not
	// emptied, garbage is not collected and aggregated ClusterRoles (edit, view) stay empty.
	ControllerManager bool
	// Controllers replaces [DefaultControllers].
	Controllers []string
	// AuthenticationConfig is a structured AuthenticationConfiguration in YAML (see
	// https://kubernetes.io/docs/reference/access-authn-authz/authentication/). Client
	// certificates and service account tokens work beside it.
	AuthenticationConfig string
	// AuditPolicy is an audit.k8s.io/v1 Policy in YAML; every request at level Metadata
	// where empty.
	AuditPolicy string
	// APIServerArgs and ControllerManagerArgs are appended to the command lines.
	APIServerArgs         []string
	ControllerManagerArgs []string
	// Progress is told what is being started; nobody where nil.
	Progress io.Writer
}

// DefaultControllers are the controllers of kube-controller-manager that make an API server
// without nodes behave as users know it.
var DefaultControllers = []string{
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"legacy-serviceaccount-token-cleaner-controller",
	"root-ca-certificate-publisher-controller",
	"namespace-controller",
	"garbage-collector-controller",
	"clusterrole-aggregation-controller",
	"deployment-controller",
	"replicaset-controller",
	"statefulset-controller",
	"disruption-controller",
	"endpointslice-controller",
}

// defaultAuditPolicy records who asked for what, and no body.
const defaultAuditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`
