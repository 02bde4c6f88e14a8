// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestGolden renders the chart for each set of values: whoever changes a template sees what
// becomes of it.
func TestGolden(t *testing.T) {
	for _, values := range valueSets(t) {
		t.Run(values, func(t *testing.T) {
			var got bytes.Buffer
			for _, object := range objects(t, render(t, chart, values)) {
				text, err := yaml.Marshal(abridged(object).Object)
				if err != nil {
					t.Fatal(err)
				}
				got.WriteString("---\n")
				got.Write(text)
			}
			golden(t, filepath.Join("testdata", "golden", values+".yaml"), unversioned(t, got.String()))
		})
	}
}

// abridged leaves out what is made of config/ and held against it by TestSources, and the text
// of dashboards and alerts, which are files of their own.
func abridged(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	switch object.GetKind() {
	case "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy", "PrometheusRule":
		object.Object["spec"] = "..."
	case "ClusterRole", "Role":
		object.Object["rules"] = "..."
	case "ConfigMap":
		data, _, _ := unstructured.NestedStringMap(object.Object, "data")
		for key := range data {
			if strings.HasSuffix(key, ".json") {
				_ = unstructured.SetNestedField(object.Object, "...", "data", key)
			}
		}
	}
	return object
}

var chartVersion = regexp.MustCompile(`(?m)^version: *(\S+)$`)

// unversioned keeps the golden files from changing with each release.
func unversioned(t *testing.T, text string) string {
	t.Helper()
	file, err := os.ReadFile(root("charts", chart, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := chartVersion.FindSubmatch(file)
	if found == nil {
		t.Fatal("no version in Chart.yaml")
	}
	version := regexp.QuoteMeta(string(found[1]))
	text = regexp.MustCompile(`helm\.sh/chart: doorward-`+version).ReplaceAllString(text, "helm.sh/chart: doorward-VERSION")
	text = regexp.MustCompile(`app\.kubernetes\.io/version: "?`+version+`"?`).ReplaceAllString(text, "app.kubernetes.io/version: VERSION")
	return regexp.MustCompile(`doorward/doorward:`+version).ReplaceAllString(text, "doorward/doorward:VERSION")
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got, `go test ./test/charts -update` writes it anew:\n%s", path, diff)
	}
}
