// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestKustomize compares config/default, with the binding in the namespace of the samples, with
// what Helm renders for the same values, object by object. With -update it writes
// config/manager/manager.yaml anew, of which the chart is the source.
func TestKustomize(t *testing.T) {
	helmed := map[string]*unstructured.Unstructured{}
	for _, rendered := range [][]byte{render(t, chart, "default"), render(t, definitions, "")} {
		for _, object := range objects(t, rendered) {
			helmed[id(object)] = plain(object)
		}
	}
	if *update {
		writeManager(t)
	}
	built, err := run(t.Context(), nil, tool(t, "kustomize"), "build", root("config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	kustomized := map[string]*unstructured.Unstructured{}
	for _, object := range objects(t, append(built, "\n---\n"+string(read(t, root("config", "samples", "rolebinding.yaml")))...)) {
		// Helm makes the namespace of a release, but does not render it.
		if object.GetKind() == "Namespace" && object.GetName() == namespace {
			continue
		}
		kustomized[id(object)] = plain(object)
	}
	for name := range helmed {
		if kustomized[name] == nil {
			t.Errorf("not in config/default: %s", name)
		}
	}
	for name, object := range kustomized {
		if helmed[name] == nil {
			t.Errorf("not in the charts: %s", name)
			continue
		}
		if diff := cmp.Diff(helmed[name].Object, object.Object); diff != "" {
			t.Errorf("%s: -Helm +kustomize; `go test ./test/charts -update` writes config/manager anew:\n%s", name, diff)
		}
	}
}

// plain leaves out what says with what an object was installed.
func plain(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	labels := object.GetLabels()
	for _, key := range []string{"name", "instance", "version", "part-of", "managed-by"} {
		delete(labels, "app.kubernetes.io/"+key)
	}
	delete(labels, "helm.sh/chart")
	if len(labels) == 0 {
		labels = nil
	}
	object.SetLabels(labels)
	annotations := object.GetAnnotations()
	delete(annotations, "helm.sh/resource-policy")
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	// What makes Helm roll out where the file changes.
	unstructured.RemoveNestedField(object.Object, "spec", "template", "metadata", "annotations", "checksum/proxy-pod")
	return object
}

// writeManager writes what the chart has of its own templates, without what is Helm's.
func writeManager(t *testing.T) {
	t.Helper()
	const image = "ghcr.io/doorward/doorward"
	var text bytes.Buffer
	text.WriteString("# Made of charts/doorward by `go test ./test/charts -update`. DO NOT EDIT.\n")
	own := 0
	for _, object := range objects(t, render(t, chart, "default")) {
		_, isManager := object.GetLabels()["app.kubernetes.io/component"]
		if !isManager || object.GetKind() == "ServiceAccount" { // which is in config/rbac
			continue
		}
		own++
		object = plain(object)
		object.SetLabels(map[string]string{"app.kubernetes.io/name": "doorward", "app.kubernetes.io/component": "manager"})
		document, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("---\n")
		for line := range strings.Lines(string(document)) {
			// The tag is that of config/default.
			if before, _, found := strings.Cut(line, image+":"); found {
				line = before + image + "\n"
			}
			text.WriteString(line)
		}
	}
	if own == 0 {
		t.Fatal("nothing to write")
	}
	if err := os.WriteFile(root("config", "manager", "manager.yaml"), text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
