// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops holds what docs/operations/gitops.md promises against a real API server
// and a running manager: tools that apply and prune, as Flux, Argo CD and kubectl do, do not
// fight the manager, take nothing away that was made at run time, and approve nothing.
package gitops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/operator"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

const (
	namespace   = "shop-access"
	testTimeout = 2 * time.Minute
)

var (
	env   *testenv.Env
	admin client.WithWatch
)

func TestMain(m *testing.M) {
	os.Exit(operator.Run(m, operator.Suite{Env: &env, Admin: &admin, Namespaces: []string{namespace}, Prepare: prepare}))
}

// prepare makes the tools' namespace, and the credentials, which are not in Git.
func prepare(ctx context.Context) error {
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}}); err != nil {
		return err
	}
	for _, name := range []string{"orders-db", "stock-db"} {
		if err := admin.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-credential"}, Type: v1alpha1.SecretTypeCredential,
			StringData: map[string]string{"username": "u", "password": "p", "connection": name, "addresses": name + ".shop.svc.cluster.local:5432"},
		}); err != nil {
			return err
		}
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func settles(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := stack.Await(ctx, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// marks are what tools put on what they own, and know it by.
var marks = map[string]map[string]string{
	"labels": {
		"app.kubernetes.io/instance":            "shop",
		"argocd.argoproj.io/instance":           "shop",
		"kustomize.toolkit.fluxcd.io/name":      "shop",
		"kustomize.toolkit.fluxcd.io/namespace": "flux-system",
		"helm.toolkit.fluxcd.io/name":           "shop",
		"helm.toolkit.fluxcd.io/namespace":      "flux-system",
		"app.kubernetes.io/managed-by":          "Helm",
	},
	"annotations": {
		"argocd.argoproj.io/sync-wave": "1", "meta.helm.sh/release-name": "shop",
	},
}

// objects are what Git holds, marked as tools mark it, but for those of a name.
func objects(t *testing.T, without ...string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "repo", "shop.yaml"))
	must(t, err)
	var found []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(document), &object.Object))
		left := false
		for _, name := range without {
			left = left || object.GetName() == name
		}
		if left {
			continue
		}
		object.SetLabels(marks["labels"])
		annotations := map[string]string{"argocd.argoproj.io/tracking-id": fmt.Sprintf("shop:%s/%s:%s/%s", "doorward.dev", object.GetKind(), object.GetNamespace(), object.GetName())}
		for key, value := range marks["annotations"] {
			annotations[key] = value
		}
		object.SetAnnotations(annotations)
		found = append(found, object)
	}
	return found
}

// manifests writes objects into a file.
func manifests(t *testing.T, set []*unstructured.Unstructured) string {
	t.Helper()
	var documents []string
	for _, object := range set {
		text, err := yaml.Marshal(object.Object)
		must(t, err)
		documents = append(documents, string(text))
	}
	path := filepath.Join(t.TempDir(), "all.yaml")
	must(t, os.WriteFile(path, []byte(strings.Join(documents, "---\n")), 0o600))
	return path
}

func kubectl(t *testing.T, config *rest.Config, args ...string) string {
	t.Helper()
	out, err := env.Kubectl(t.Context(), config, args...)
	must(t, err)
	return out
}

// kinds are all that a tool could list in a namespace, and what of ours is cluster-scoped.
var kinds = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Event"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
	{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"},
	{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
	v1alpha1.GroupVersion.WithKind("Connection"), v1alpha1.GroupVersion.WithKind("AccessPolicy"), v1alpha1.GroupVersion.WithKind("ApprovalRequest"),
	v1alpha1.GroupVersion.WithKind("AuditSession"), v1alpha1.GroupVersion.WithKind("AuditLog"), v1alpha1.GroupVersion.WithKind("IdentityProvider"),
	v1alpha1.GroupVersion.WithKind("LogSink"), v1alpha1.GroupVersion.WithKind("ClusterAccessPolicy"), v1alpha1.GroupVersion.WithKind("Notifier"),
	v1alpha1.GroupVersion.WithKind("GatewayCredential"),
}

// live lists all objects of the namespaces in question, by kind, namespace and name.
func live(ctx context.Context, options ...client.ListOption) (map[string]*unstructured.Unstructured, error) {
	found := map[string]*unstructured.Unstructured{}
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := admin.List(ctx, list, options...); err != nil {
			return nil, err
		}
		for i := range list.Items {
			o := &list.Items[i]
			if in := o.GetNamespace(); in == "" || in == namespace || in == operator.Namespace {
				found[key(o)] = o
			}
		}
	}
	return found, nil
}

func key(o *unstructured.Unstructured) string {
	return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
}

// runtimeObjects are the live ones that no tool applied, but Events, which come and go.
func runtimeObjects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	found, err := live(t.Context())
	must(t, err)
	for _, o := range objects(t) {
		delete(found, key(o))
	}
	for name, o := range found {
		if o.GetKind() == "Event" {
			delete(found, name)
		}
	}
	return found
}

// applied applies what Git holds as Flux does, and waits for what the manager makes of it.
func applied(t *testing.T) string {
	t.Helper()
	path := manifests(t, objects(t))
	kubectl(t, env.Direct, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "--filename", path)
	settles(t, "what the manager makes", func(ctx context.Context) error {
		found, err := live(ctx)
		if err != nil {
			return err
		}
		var missing []error
		for _, name := range []string{"orders-db", "stock-db"} {
			for _, kind := range []string{"Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "Secret"} {
				object := "doorward-" + name
				if kind == "Secret" {
					object += "-snapshot"
				}
				if found[kind+" "+namespace+"/"+object] == nil {
					missing = append(missing, fmt.Errorf("there is no %s %s", kind, object))
				}
			}
		}
		for _, o := range objects(t) {
			status, _, _ := unstructured.NestedInt64(found[key(o)].Object, "status", "observedGeneration")
			if status != found[key(o)].GetGeneration() {
				missing = append(missing, fmt.Errorf("%s was not looked at", key(o)))
			}
		}
		return errors.Join(missing...)
	})
	return path
}

// recorded makes what proxies and the manager make while people work.
func recorded(t *testing.T) {
	t.Helper()
	found, err := live(t.Context())
	must(t, err)
	samples := filepath.Join(testenv.Root(), "config", "samples")
	if found["AuditSession "+namespace+"/orders-db-01jd5e8w2v"] != nil {
		return
	}
	for _, file := range []string{"approvalrequest.yaml", "auditsession.yaml"} {
		kubectl(t, env.Direct, "create", "--filename", filepath.Join(samples, file))
	}
	manager, err := env.ServiceAccountConfig(t.Context(), operator.Namespace, operator.Account)
	must(t, err)
	for _, file := range []string{"auditlog.yaml", "gatewaycredential.yaml"} {
		kubectl(t, manager, "create", "--filename", filepath.Join(samples, file))
	}
}
