// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// What a schema refers to others by, in OpenAPI and in the files written here.
const (
	openAPIRef = "#/components/schemas/"
	jsonRef    = "#/definitions/"
)

// schemas writes a JSON schema, as kubeconform takes them, for every kind that the API server's
// own OpenAPI (https://spec.openapis.org/oas/v3.0.0) describes, and for those of the definitions:
// <group>_<version>_<kind in small letters>.json, the core group being called like its version.
// Unknown fields are refused.
func schemas(t *testing.T, definitions []*unstructured.Unstructured) string {
	t.Helper()
	folder := t.TempDir()
	var index struct {
		Paths map[string]struct {
			ServerRelativeURL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	get(t, "/openapi/v3", &index)
	for path, group := range index.Paths {
		// Of groups that are defined in the cluster, the definitions say more.
		if strings.HasPrefix(path, "api/v1") || strings.HasPrefix(path, "apis/") && !strings.Contains(path, "doorward.dev") && !strings.Contains(path, "coreos.com") {
			var document struct {
				Components struct {
					Schemas map[string]map[string]any `json:"schemas"`
				} `json:"components"`
			}
			get(t, group.ServerRelativeURL, &document)
			writeGroup(t, folder, document.Components.Schemas)
		}
	}
	for _, definition := range definitions {
		writeDefinition(t, folder, definition)
	}
	return folder
}

func get(t *testing.T, path string, into any) {
	t.Helper()
	client, err := rest.HTTPClientFor(env.RESTConfig)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env.Host()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("cannot read %s: %s: %v", path, response.Status, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("cannot read %s: %v", path, err)
	}
}

// writeGroup writes the kinds of one group and version, each with what it refers to.
func writeGroup(t *testing.T, folder string, components map[string]map[string]any) {
	t.Helper()
	for name, schema := range components {
		kinds, _ := schema["x-kubernetes-group-version-kind"].([]any)
		for _, entry := range kinds {
			kind, ok := entry.(map[string]any)
			if !ok || len(kinds) > 1 { // options of requests are in every group
				continue
			}
			needed := map[string]any{}
			collect(components, name, needed)
			write(t, folder, text(kind["group"]), text(kind["version"]), text(kind["kind"]), map[string]any{
				"$ref": jsonRef + name, "definitions": needed,
			})
		}
	}
}

// writeDefinition writes the kinds of a CustomResourceDefinition.
func writeDefinition(t *testing.T, folder string, definition *unstructured.Unstructured) {
	t.Helper()
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, entry := range versions {
		version, ok := entry.(map[string]any)
		if !ok {
			t.Fatalf("%s: a version is no map", definition.GetName())
		}
		schema, found, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema")
		if err != nil || !found {
			t.Fatalf("%s: no schema: %v", definition.GetName(), err)
		}
		write(t, folder, group, text(version["name"]), kind, closed(schema))
	}
}

func write(t *testing.T, folder, group, version, kind string, schema map[string]any) {
	t.Helper()
	content, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	if group == "" {
		group = version
	}
	name := group + "_" + version + "_" + strings.ToLower(kind) + ".json"
	if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// collect adds a schema and all that it refers to.
func collect(components map[string]map[string]any, name string, needed map[string]any) {
	if _, done := needed[name]; done {
		return
	}
	schema := closed(components[name])
	needed[name] = schema
	eachRef(schema, func(name string) { collect(components, name, needed) })
}

func eachRef(node any, visit func(name string)) {
	switch node := node.(type) {
	case map[string]any:
		if name, ok := strings.CutPrefix(text(node["$ref"]), jsonRef); ok {
			visit(name)
		}
		for _, child := range node {
			eachRef(child, visit)
		}
	case []any:
		for _, child := range node {
			eachRef(child, visit)
		}
	}
}

// closed makes JSON schema of a schema of OpenAPI: an object with properties has no others, unless
// it says so; references lead to definitions; what may be null, may. Descriptions are left out.
func closed(schema map[string]any) map[string]any {
	result := maps.Clone(schema)
	delete(result, "description")
	delete(result, "default")
	if name, ok := strings.CutPrefix(text(result["$ref"]), openAPIRef); ok {
		result["$ref"] = jsonRef + name
	}
	if result["nullable"] == true {
		if kind, ok := result["type"].(string); ok {
			result["type"] = []any{kind, "null"}
		}
	}
	if properties, ok := result["properties"].(map[string]any); ok {
		children := map[string]any{}
		for name, child := range properties {
			children[name] = closedAny(child)
		}
		result["properties"] = children
		if _, open := result["additionalProperties"]; !open && result["x-kubernetes-preserve-unknown-fields"] != true {
			result["additionalProperties"] = false
		}
	}
	for _, key := range []string{"items", "additionalProperties", "not"} {
		if child, ok := result[key]; ok && (key != "additionalProperties" || child != false) {
			result[key] = closedAny(child)
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		if children, ok := result[key].([]any); ok {
			var all []any
			for _, child := range children {
				all = append(all, condition(child))
			}
			result[key] = all
		}
	}
	return result
}

func closedAny(node any) any {
	if schema, ok := node.(map[string]any); ok {
		return closed(schema)
	}
	return node
}

// condition is closed where it refers to a schema. One that is spelt out says something of an
// object that another schema describes, and does not name all of its properties.
func condition(node any) any {
	if schema, ok := node.(map[string]any); ok && schema["$ref"] != nil {
		return closed(schema)
	}
	return node
}

func text(value any) string {
	s, _ := value.(string)
	return s
}
