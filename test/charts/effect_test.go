// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestEveryValueCounts looks for values that nothing comes of: each is set to another than its default
// in a set under testdata/values, which renders to something else without it.
func TestEveryValueCounts(t *testing.T) {
	var schema property
	if err := json.Unmarshal(read(t, root("charts", chart, "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range notSet {
		delete(schema.Properties, name)
	}
	defaults := values(t, root("charts", chart, "values.yaml"))
	sets := map[string]map[string]any{}
	whole := map[string][]byte{}
	for _, name := range valueSets(t) {
		sets[name] = values(t, filepath.Join("testdata", "values", name+".yaml"))
		whole[name] = render(t, chart, name)
	}
	for _, path := range leaves(&schema, nil) {
		set, counts := false, false
		usual, _, _ := unstructured.NestedFieldNoCopy(defaults, path...)
		for _, name := range slices.Sorted(maps.Keys(sets)) {
			value, found, err := unstructured.NestedFieldNoCopy(sets[name], path...)
			if err != nil || !found || reflect.DeepEqual(value, usual) {
				continue
			}
			set = true
			if counts = !bytes.Equal(whole[name], renderWithout(t, name, path)); counts {
				break
			}
		}
		switch name := strings.Join(path, "."); {
		case !set:
			t.Errorf("%s: no set under testdata/values has another than the default", name)
		case !counts:
			t.Errorf("%s: nothing comes of it", name)
		}
	}
}

// leaves are the paths of the values that have none below them.
func leaves(schema *property, path []string) [][]string {
	if len(schema.Properties) == 0 {
		return [][]string{path}
	}
	var all [][]string
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		all = append(all, leaves(schema.Properties[name], append(slices.Clone(path), name))...)
	}
	return all
}

// renderWithout renders a set of values that lacks one; nothing where the chart refuses that.
func renderWithout(t *testing.T, set string, path []string) []byte {
	t.Helper()
	left := values(t, filepath.Join("testdata", "values", set+".yaml"))
	unstructured.RemoveNestedField(left, path...)
	text, err := yaml.Marshal(left)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	rendered, err := helm(t, "template", "doorward", root("charts", chart), "--namespace", namespace, "--values", file)
	if err != nil && !strings.Contains(err.Error(), "namespaces: name the namespaces") && !strings.Contains(err.Error(), "login.url: say by which") {
		t.Fatal(err)
	}
	return rendered
}

func values(t *testing.T, path string) map[string]any {
	t.Helper()
	var all map[string]any
	if err := yaml.UnmarshalStrict(read(t, path), &all); err != nil {
		t.Fatal(err)
	}
	return all
}
