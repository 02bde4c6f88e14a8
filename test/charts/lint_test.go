// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestHelmLint lints both charts with every set of values.
func TestHelmLint(t *testing.T) {
	args := []string{"lint", "--strict", root("charts", definitions), root("charts", chart), "--namespace", namespace}
	for _, values := range valueSets(t) {
		t.Run(values, func(t *testing.T) {
			set := args
			if values != "default" {
				// The chart of definitions has other values.
				set = append([]string{"lint", "--strict", root("charts", chart), "--namespace", namespace}, "--values", filepath.Join("testdata", "values", values+".yaml"))
			}
			if out, err := helm(t, set...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestConform checks what is rendered, and the samples, against the schemas of the API server
// that is built here, of our own definitions and of the Prometheus operator's.
func TestConform(t *testing.T) {
	ours := objects(t, render(t, definitions, ""))
	location := schemas(t, append(ours, monitoringDefinitions(t)...)) + "/{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"
	inputs := map[string][]byte{definitions: render(t, definitions, "")}
	for _, values := range valueSets(t) {
		inputs[values] = render(t, chart, values)
	}
	for _, folder := range []string{"samples", "tour"} {
		built, err := run(t.Context(), nil, tool(t, "kustomize"), "build", root("config", folder))
		if err != nil {
			t.Fatal(err)
		}
		inputs[folder] = built
	}
	conform := func(input []byte) ([]byte, error) {
		return run(t.Context(), input, tool(t, "kubeconform"), "-strict", "-summary", "-schema-location", location, "-")
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			out, err := conform(input)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !bytes.Contains(out, fmt.Appendf(nil, "Summary: %d resources found", len(objects(t, input)))) || !bytes.Contains(out, []byte("Skipped: 0")) {
				t.Errorf("want every object to be checked:\n%s", out)
			}
		})
	}
	// The schemas refuse what the API server would drop or refuse.
	for name, mistake := range map[string]string{
		"UnknownField": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replica: 2, selector: {}, template: {spec: {containers: [{name: a}]}}}",
		"DeepField":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {}, template: {spec: {containers: [{name: a, imagee: b}]}}}",
		"WrongType":    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: http}]}",
		"OwnKind":      "apiVersion: doorward.dev/v1alpha1\nkind: LogSink\nmetadata: {name: a}\nspec: {type: Stdout, file: {pathh: a}}",
		"Monitor":      "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: a}\nspec: {selector: {}, podMetricsEndpoint: []}",
		"UnknownKind":  "apiVersion: apps/v1\nkind: Deploymint\nmetadata: {name: a}",
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := conform([]byte(mistake)); err == nil {
				t.Errorf("want it to be refused:\n%s", out)
			}
		})
	}
}

// tolerated are kube-score's findings that stay, by check.
var tolerated = map[string]string{
	"container-resources":                           "there is no CPU limit: throttling would hold up revocation; memory is limited",
	"container-image-pull-policy":                   "images are named by version or digest, which do not change; Always would make the registry a part of every restart",
	"container-ephemeral-storage-request-and-limit": "the root file system is read-only and there is no volume to write to",
	"deployment-has-host-podantiaffinity":           "the topology spread constraints do it, and still let one node run both",
}

// TestScore has kube-score look at what is rendered. Every finding that is tolerated has its
// reason above, and one that is no longer found is no longer tolerated.
func TestScore(t *testing.T) {
	used := map[string]bool{}
	for _, values := range []string{"default", "ha", "all", "clusterwide", "digest"} {
		t.Run(values, func(t *testing.T) {
			for check, found := range score(t, values) {
				if reason := tolerated[check]; reason != "" {
					used[check] = true
					continue
				}
				t.Errorf("%s: %s", check, strings.Join(found, "; "))
			}
		})
	}
	for _, check := range slices.Sorted(maps.Keys(tolerated)) {
		if !used[check] {
			t.Errorf("tolerated and not found: %s", check)
		}
	}
}

// score returns what kube-score finds, by check.
func score(t *testing.T, values string) map[string][]string {
	t.Helper()
	var input bytes.Buffer
	for _, object := range objects(t, render(t, chart, values)) {
		document, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		input.WriteString("---\n")
		input.Write(document)
	}
	file := filepath.Join(t.TempDir(), "rendered.yaml")
	if err := os.WriteFile(file, input.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t.Context(), nil, tool(t, "kube-score"), "score", "--kubernetes-version", "v1.36", "--output-format", "json", file)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && len(out) == 0 {
		t.Fatal(err)
	}
	var scored []struct {
		Name   string `json:"object_name"`
		Checks []struct {
			Check struct {
				ID string `json:"id"`
			} `json:"check"`
			Grade    int  `json:"grade"`
			Skipped  bool `json:"skipped"`
			Comments []struct {
				Path, Summary string
			} `json:"comments"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(out, &scored); err != nil || len(scored) == 0 {
		t.Fatalf("cannot read what kube-score says: %v: %s", err, out)
	}
	const fine = 10
	found := map[string][]string{}
	for _, object := range scored {
		for _, check := range object.Checks {
			if check.Skipped || check.Grade >= fine {
				continue
			}
			for _, comment := range check.Comments {
				found[check.Check.ID] = append(found[check.Check.ID], object.Name+" "+comment.Path+": "+comment.Summary)
			}
		}
	}
	return found
}
