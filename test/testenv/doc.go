// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv runs a real Kubernetes control plane on loopback: etcd, kube-apiserver
// and, where asked for, kube-controller-manager. The suites and the playground stand on it.
//
// A test package shares one control plane and separates its tests by namespace:
//
//	var env *testenv.Env
//
//	func TestMain(m *testing.M) {
//		os.Exit(testenv.Run(m, testenv.Options{CRDs: true}, &env))
//	}
//
// The API server authorizes with RBAC, serves ValidatingAdmissionPolicy and
// MutatingAdmissionPolicy v1, and writes an audit log ([Env.AuditEvents]). It is reached
// through a TCP forwarder, so that [Env.CloseAPI], [Env.BlackHole] and [Env.Resume] take it
// away and give it back while [Env.Direct] still reaches it.
//
// The binaries come from hack/controlplane/ensure.sh (`make controlplane`).
package testenv
