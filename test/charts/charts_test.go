// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package charts holds the Helm charts against everything that judges them: golden files,
// config/, Helm's and other linters, the API server's own schemas, and the API server.
package charts

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/doorward/doorward/test/testenv"
)

var update = flag.Bool("update", false, "write the golden files, config/manager and the tables of values anew")

var env *testenv.Env

func TestMain(m *testing.M) {
	os.Exit(testenv.Run(m, testenv.Options{ControllerManager: true}, &env))
}

// The charts, where they are installed, and under which names.
const (
	chart, definitions = "doorward", "doorward-crds"
	namespace          = "doorward-system"
)

// root returns a path of the work tree.
func root(elements ...string) string {
	return filepath.Join(append([]string{testenv.Root()}, elements...)...)
}

// tool returns the path of a pinned tool, which `make test` builds beforehand.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := root("bin", "tools", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not built: run `make bin/tools/%s`", name, name)
	}
	return path
}

// run returns the standard output of a program; the error holds its standard error.
func run(ctx context.Context, input []byte, program string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.Bytes(), errors.New(strings.TrimSpace(stderr.String() + err.Error()))
	}
	return stdout.Bytes(), nil
}

// helm runs Helm, whose own folders are those of the test.
func helm(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(name, home)
	}
	return run(t.Context(), nil, tool(t, "helm"), args...)
}

// render returns what a chart is for the values of a file under testdata/values; of its defaults
// where the name is empty.
func render(t *testing.T, chart, values string, args ...string) []byte {
	t.Helper()
	args = append([]string{"template", "doorward", root("charts", chart), "--namespace", namespace}, args...)
	if values != "" {
		args = append(args, "--values", filepath.Join("testdata", "values", values+".yaml"))
	}
	rendered, err := helm(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// valueSets are the names of the files under testdata/values.
func valueSets(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "values", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sets of values: %v", err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	return files
}

// objects reads YAML documents, in the order of their kinds and names.
func objects(t *testing.T, documents []byte) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(documents), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("cannot read what was rendered: %v", err)
		}
		if object.Object != nil {
			all = append(all, object)
		}
	}
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int { return strings.Compare(id(a), id(b)) })
	for i := range all[1:] {
		if id(all[i]) == id(all[i+1]) {
			t.Errorf("rendered twice: %s", id(all[i]))
		}
	}
	return all
}

// id names an object within a cluster.
func id(object *unstructured.Unstructured) string {
	return object.GetKind() + "/" + object.GetNamespace() + "/" + object.GetName()
}
