// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// maxDefault bounds the defaults that a table spells out.
const maxDefault = 60

// A property is the part of JSON schema that says what a value is.
type property struct {
	Description          string               `json:"description"`
	Properties           map[string]*property `json:"properties"`
	AdditionalProperties any                  `json:"additionalProperties"`
}

// notSet are known to the schema for the sake of charts that depend on ours.
var notSet = []string{"enabled", "global"}

// TestReadme holds values.yaml, values.schema.json and the tables of README.md against each other: each
// value has a default and a description, and is in the table. With -update it writes the tables.
func TestReadme(t *testing.T) {
	for _, chart := range []string{chart, definitions} {
		t.Run(chart, func(t *testing.T) {
			var schema property
			if err := json.Unmarshal(read(t, root("charts", chart, "values.schema.json")), &schema); err != nil {
				t.Fatal(err)
			}
			var defaults map[string]any
			if err := yaml.UnmarshalStrict(read(t, root("charts", chart, "values.yaml")), &defaults); err != nil {
				t.Fatal(err)
			}
			for _, name := range notSet {
				delete(schema.Properties, name)
			}
			table := "| value | default | what it is |\n|---|---|---|\n" + rows(t, "", &schema, defaults)
			path := root("charts", chart, "README.md")
			readme := string(read(t, path))
			before, rest, begins := strings.Cut(readme, "<!-- values: written by `go test ./test/charts -update` -->\n")
			old, after, ends := strings.Cut(rest, "<!-- end of values -->")
			if !begins || !ends {
				t.Fatal("README.md has no place for the table")
			}
			if *update {
				text := before + "<!-- values: written by `go test ./test/charts -update` -->\n" + table + "<!-- end of values -->" + after
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				old = table
			}
			if diff := cmp.Diff(table, old); diff != "" {
				t.Errorf("-want +got, `go test ./test/charts -update` writes it anew:\n%s", diff)
			}
		})
	}
}

// rows are those of an object's values, in the order of their names.
func rows(t *testing.T, prefix string, schema *property, defaults map[string]any) string {
	t.Helper()
	var b strings.Builder
	if schema.AdditionalProperties != false {
		t.Errorf("%s: the schema takes unknown keys", prefix)
	}
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if schema.Properties[name] == nil {
			t.Errorf("%s%s: in values.yaml, and not in values.schema.json", prefix, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		p := schema.Properties[name]
		value, set := defaults[name]
		switch {
		case p.Description == "":
			t.Errorf("%s%s: no description", prefix, name)
		case strings.HasSuffix(prefix, "Probe."): // what is unset is the API server's business
		case !set:
			t.Errorf("%s%s: in values.schema.json, and not in values.yaml", prefix, name)
		}
		if nested, ok := value.(map[string]any); ok && p.Properties != nil {
			b.WriteString(rows(t, prefix+name+".", p, nested))
			continue
		}
		if !set {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		shown := "`" + string(text) + "`"
		switch {
		case len(text) > maxDefault:
			shown = "see values.yaml"
		case value == nil:
			shown = ""
		}
		fmt.Fprintf(&b, "| `%s%s` | %s | %s |\n", prefix, name, shown, p.Description)
	}
	return b.String()
}
