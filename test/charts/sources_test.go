// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/config/admission"
	"github.com/doorward/doorward/controllers/connection"
)

// TestAdmission holds the rendered policies against those that the manager has compiled in, with
// its own comparison, for an installation under other names too: where they differ, no approval
// is believed (checklist 31).
func TestAdmission(t *testing.T) {
	tests := map[string]struct {
		reason string
		values string
		args   []string
		user   string
	}{
		"Default":   {reason: "the names of config/", values: "default", user: admission.DefaultManagerUser},
		"Account":   {reason: "the policies name the manager by its ServiceAccount", values: "all", user: "system:serviceaccount:doorward-system:gatekeeper"},
		"Namespace": {reason: "and by its namespace", values: "all", args: []string{"--namespace", "access-system"}, user: "system:serviceaccount:access-system:gatekeeper"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := admission.Objects(tc.user)
			if err != nil {
				t.Fatal(err)
			}
			rendered := map[string]*unstructured.Unstructured{}
			for _, object := range objects(t, render(t, chart, tc.values, tc.args...)) {
				if strings.Contains(object.GetKind(), "AdmissionPolicy") {
					rendered[id(object)] = object
				}
			}
			if len(rendered) != len(want) {
				t.Errorf("%s: want %d policies and bindings, got %d", tc.reason, len(want), len(rendered))
			}
			for _, compiled := range want {
				got := rendered[compiled.GetObjectKind().GroupVersionKind().Kind+"//"+compiled.GetName()]
				if got == nil {
					t.Errorf("%s: not rendered: %s", tc.reason, compiled.GetName())
					continue
				}
				if err := admission.Verify(typed(t, got), compiled); err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
			}
		})
	}
}

// typed is the object as the manager reads it.
func typed(t *testing.T, object *unstructured.Unstructured) client.Object {
	t.Helper()
	made, err := scheme.Scheme.New(object.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, made, true); err != nil {
		t.Fatalf("%s: %v", id(object), err)
	}
	result, ok := made.(client.Object)
	if !ok {
		t.Fatalf("%s: %T is no object", id(object), made)
	}
	return result
}

// TestDefinitions holds the chart of definitions against config/crd.
func TestDefinitions(t *testing.T) {
	files, err := filepath.Glob(root("config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	want := map[string]any{}
	for _, file := range files {
		for _, object := range objects(t, read(t, file)) {
			want[object.GetName()] = object.Object["spec"]
		}
	}
	got := map[string]any{}
	for _, object := range objects(t, render(t, definitions, "")) {
		got[object.GetName()] = object.Object["spec"]
		// Deleting a definition deletes all that was recorded with it.
		if policy := object.GetAnnotations()["helm.sh/resource-policy"]; policy != "keep" {
			t.Errorf("%s: want helm.sh/resource-policy keep, got %q", object.GetName(), policy)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-config/crd +chart, `make generate` renews it:\n%s", diff)
	}
}

// TestVersions holds what is made of charts/doorward/Chart.yaml, where the version is written,
// against it, and the list of kinds for catalogues against config/crd.
func TestVersions(t *testing.T) {
	type metadata struct {
		Version     string            `json:"version"`
		AppVersion  string            `json:"appVersion"`
		KubeVersion string            `json:"kubeVersion"`
		Annotations map[string]string `json:"annotations"`
	}
	load := func(chart string) (m metadata) {
		if err := yaml.Unmarshal(read(t, root("charts", chart, "Chart.yaml")), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	main, crds := load(chart), load(definitions)
	if main.Version != main.AppVersion || main.Version != crds.Version || main.Version != crds.AppVersion || main.KubeVersion != crds.KubeVersion {
		t.Errorf("want one version of charts, and one of Kubernetes: %+v, %+v", main, crds)
	}
	var listed []struct {
		Kind, Version, Name, DisplayName, Description string
	}
	if err := yaml.UnmarshalStrict([]byte(crds.Annotations["artifacthub.io/crds"]), &listed); err != nil {
		t.Fatal(err)
	}
	got, want := map[string]string{}, map[string]string{}
	for _, entry := range listed {
		got[entry.Name] = entry.Kind + " " + entry.Version
	}
	for _, object := range objects(t, render(t, definitions, "")) {
		kind, _, _ := unstructured.NestedString(object.Object, "spec", "names", "kind")
		want[object.GetName()] = kind + " v1alpha1"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("artifacthub.io/crds: -want +got:\n%s", diff)
	}
}

// TestProxyPod has the manager read what the chart writes for it.
func TestProxyPod(t *testing.T) {
	for _, values := range valueSets(t) {
		t.Run(values, func(t *testing.T) {
			found := false
			for _, object := range objects(t, render(t, chart, values)) {
				text, ok, _ := unstructured.NestedString(object.Object, "data", "proxy-pod.yaml")
				if !ok {
					continue
				}
				found = true
				settings, err := connection.ParsePodSettings([]byte(text))
				if err != nil {
					t.Errorf("%v:\n%s", err, text)
				}
				if values == "all" && (settings.PriorityClassName != "access" || settings.Resources == nil || settings.Labels["team"] != "access" ||
					settings.Labels["cost-center"] != "42" || settings.ImagePullSecrets[0].Name != "proxy-mirror" || settings.LogLevel != 2 || len(settings.Env) != 1) {
					t.Errorf("want the values in it, got: %+v", settings)
				}
				if values == "minimal" && (settings.TopologySpreadConstraints == nil || settings.Resources != nil) {
					t.Errorf("an empty list is not the default, and what is unset is: %+v", settings)
				}
			}
			if !found {
				t.Error("no proxy-pod.yaml")
			}
		})
	}
}

// TestFiles holds alerts and dashboards, which are files that others test too, against what is
// rendered: not a letter of them is taken for a template.
func TestFiles(t *testing.T) {
	rendered := map[string]*unstructured.Unstructured{}
	for _, object := range objects(t, render(t, chart, "all")) {
		rendered[object.GetKind()+"/"+object.GetName()] = object
	}
	stem := func(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }
	for _, path := range files(t, "rules", "*.yaml") {
		var want any
		if err := yaml.UnmarshalStrict(read(t, path), &want); err != nil {
			t.Fatal(err)
		}
		rule := rendered["PrometheusRule/doorward-"+stem(path)]
		if rule == nil {
			t.Errorf("not rendered: %s", path)
			continue
		}
		if diff := cmp.Diff(want, rule.Object["spec"]); diff != "" {
			t.Errorf("%s: -file +rendered:\n%s", path, diff)
		}
	}
	for _, path := range files(t, "dashboards", "*.json") {
		got := rendered["ConfigMap/doorward-dashboard-"+stem(path)]
		if got == nil {
			t.Errorf("not rendered: %s", path)
			continue
		}
		text, _, _ := unstructured.NestedString(got.Object, "data", filepath.Base(path))
		if diff := cmp.Diff(strings.TrimSpace(string(read(t, path))), strings.TrimSpace(text)); diff != "" {
			t.Errorf("%s: -file +rendered:\n%s", path, diff)
		}
	}
}

// files are those of a folder of the chart, of which there is at least one.
func files(t *testing.T, folder, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(root("charts", chart, folder, pattern))
	if err != nil || len(found) == 0 {
		t.Errorf("no %s: %v", folder, err)
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
