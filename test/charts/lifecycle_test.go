// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"testing"
	"time"

	"github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience bounds what the control plane does by itself, on a busy machine.
const patience = time.Minute

// TestLifecycle installs both charts, upgrades them to other values, takes them away and installs them
// again. No pod runs here: test/e2e does it with pods and across versions.
func TestLifecycle(t *testing.T) {
	if err := env.InstallCRDs(monitoringFiles(t)...); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(env.RESTConfig, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := gomega.NewWithT(t)
	must := func(args ...string) string { return deploy(t, "lifecycle-system", args...) }
	crds, main := root("charts", definitions), root("charts", chart)
	values := []string{"--set", "namespaces={lifecycle-access}", "--set", "createNamespaces=true"}
	is := func(kind schema.GroupVersionKind, namespace, name string) bool {
		t.Helper()
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind)
		err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return !apierrors.IsNotFound(err) && object.GetDeletionTimestamp() == nil
	}
	var (
		definitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
		deploymentKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
		policyKind     = schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicy"}
		namespaceKind  = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	)

	// The definitions may be left of another test.
	must("install", definitions, crds, "--create-namespace", "--take-ownership", "--force-conflicts")
	notes := must(append([]string{"install", chart, main}, values...)...)
	for _, want := range []string{"kubectl -n lifecycle-system rollout status deployment/doorward-manager", "kubectl -n lifecycle-access get connections"} {
		g.Expect(notes).To(gomega.ContainSubstring(want))
	}
	g.Expect(notes).NotTo(gomega.ContainSubstring("MISSING"))
	g.Expect(is(deploymentKind, "lifecycle-system", "doorward-manager")).To(gomega.BeTrue())

	// The rules of the role that aggregates are another's: an upgrade leaves them alone.
	aggregated := func() int {
		var role rbacv1.ClusterRole
		if err := c.Get(t.Context(), client.ObjectKey{Name: "doorward-admin"}, &role); err != nil {
			return -1
		}
		return len(role.Rules)
	}
	g.Eventually(aggregated, patience, time.Second/10).Should(gomega.BeNumerically(">", 0))
	must("upgrade", definitions, crds, "--set", "commonLabels.team=access")
	must(append([]string{
		"upgrade", chart, main, "--set", "replicaCount=3,commonLabels.team=access,proxy.podLabels.team=access",
		"--set", "serviceMonitor.enabled=true,podMonitor.enabled=true,prometheusRule.enabled=true,grafanaDashboards.enabled=true",
	}, values...)...)
	g.Expect(aggregated()).To(gomega.BeNumerically(">", 0))

	// What people wrote, and what was recorded, outlives the charts.
	must("uninstall", chart)
	must("uninstall", definitions)
	g.Expect(is(deploymentKind, "lifecycle-system", "doorward-manager")).To(gomega.BeFalse())
	g.Expect(is(policyKind, "", "doorward-auditlog-write")).To(gomega.BeFalse())
	g.Expect(is(definitionKind, "", "connections.doorward.dev")).To(gomega.BeTrue())
	g.Expect(is(namespaceKind, "", "lifecycle-access")).To(gomega.BeTrue())

	// And is taken over again.
	must("install", definitions, crds)
	must(append([]string{"install", chart, main}, values...)...)
	must("uninstall", chart)
	must("uninstall", definitions)
}

// TestTakesOver installs where kubectl has applied config/default before, and somebody changed what is in it.
func TestTakesOver(t *testing.T) {
	if err := env.Apply(t.Context(), root("config", "default")); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Kubectl(t.Context(), env.RESTConfig, "-n", namespace, "set", "env", "deployment/doorward-manager", "NAMESPACES=takeover-access"); err != nil {
		t.Fatal(err)
	}
	values := []string{"--set", "namespaces={takeover-access}", "--set", "createNamespaces=true", "--set", "replicaCount=3"}
	deploy(t, namespace, "install", definitions, root("charts", definitions), "--take-ownership", "--force-conflicts")
	deploy(t, namespace, append([]string{"install", chart, root("charts", chart), "--take-ownership", "--force-conflicts"}, values...)...)
	// From then on Helm owns them.
	deploy(t, namespace, append([]string{"upgrade", chart, root("charts", chart)}, values...)...)
	deploy(t, namespace, "uninstall", chart)
	deploy(t, namespace, "uninstall", definitions)
}

// deploy runs Helm in a namespace of the control plane.
func deploy(t *testing.T, namespace string, args ...string) string {
	t.Helper()
	out, err := helm(t, append(args, "--kubeconfig", env.Kubeconfig, "--namespace", namespace)...)
	if err != nil {
		t.Fatalf("helm %q: %v\n%s", args, err, out)
	}
	return string(out)
}
