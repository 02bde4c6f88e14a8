// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clipolicy "github.com/doorward/doorward/cli/policy"
)

// edited is the shop with one text of one file replaced.
func edited(t *testing.T, file, old, replaced string) string {
	t.Helper()
	dir := t.TempDir()
	found := false
	for _, name := range []string{"objects.yaml", "policies.yaml", "tests.yaml"} {
		text, err := os.ReadFile(filepath.Join(shop, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == file {
			found = strings.Contains(string(text), old)
			text = []byte(strings.Replace(string(text), old, replaced, 1))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("%s holds no %q", file, old)
	}
	return dir
}

// TestTypos: a typo anywhere is an error with its line, and never broader access
// (checklist 40).
func TestTypos(t *testing.T) {
	cases := map[string]struct {
		reason, file, old, replaced string
		want                        string
		failed                      bool
	}{
		"Key":        {reason: "an unknown key", file: "policies.yaml", old: "      properties: [unboundedWrite]\n      message: add", replaced: "      propertys: [unboundedWrite]\n      message: add", want: "policies.yaml:39: unknown field \"spec.rules[3].propertys\""},
		"Required":   {reason: "an absent key", file: "policies.yaml", old: "  when: []\n", replaced: "", want: "policies.yaml:7: spec.when is required"},
		"Value":      {reason: "a word that is none", file: "policies.yaml", old: "mode: Enforce", replaced: "mode: Enforced", want: "policies.yaml:8: spec.mode should be one of"},
		"Kind":       {reason: "a kind of the group that is none", file: "policies.yaml", old: "kind: AccessPolicy", replaced: "kind: AccesPolicy", want: "policies.yaml:3: this version knows no such kind"},
		"Group":      {reason: "another version of the group", file: "policies.yaml", old: "doorward.dev/v1alpha1", replaced: "doorward.dev/v1alpha2", want: "policies.yaml:3: this version knows no such kind"},
		"Twice":      {reason: "a key twice", file: "policies.yaml", old: "  when: []\n", replaced: "  when: []\n  when: []\n", want: "policies.yaml:10: key \"when\" already set"},
		"Syntax":     {reason: "no YAML", file: "policies.yaml", old: "  when: []\n", replaced: "  when: [\n", want: "policies.yaml:"},
		"NoKind":     {reason: "an object of no kind", file: "policies.yaml", old: "kind: AccessPolicy\n", replaced: "", want: "without apiVersion and kind"},
		"SameName":   {reason: "an object twice", file: "policies.yaml", old: "name: oncall\n  namespace", replaced: "name: analysts\n  namespace", want: "is there twice: the other is at"},
		"TestKey":    {reason: "a misspelt expectation", file: "tests.yaml", old: "      rules: [analysts/read]", replaced: "      rulez: [analysts/read]", want: "tests.yaml:14: unknown field \"cases[0].expect.rulez\""},
		"TestCaller": {reason: "a caller that is none", file: "tests.yaml", old: "caller: alice", replaced: "caller: alise", want: "did you mean \"alice\"?"},
		"TestEffect": {reason: "an effect that is none", file: "tests.yaml", old: "effect: Allow", replaced: "effect: Allowed", want: "tests.yaml:13: expect.effect is one of"},
		"TestKind":   {reason: "a kind of tests that is none", file: "tests.yaml", old: "kind: PolicyTest", replaced: "kind: PolicyTests", want: "PolicyTest"},
		"TestEmpty":  {reason: "a case that asks nothing", file: "tests.yaml", old: "    connect: true\n", replaced: "", want: "tests.yaml:32: a case has an operation"},
		"Ended":      {reason: "an object behind the end of another, which others would read", file: "policies.yaml", old: "---\n", replaced: "...\n", want: "text after the end of the document"},
		"NewLine":    {reason: "the same with a line break that is none to kubectl", file: "policies.yaml", old: "---\n", replaced: "\u2028---\u2028", want: "text after the end of the document"},
		"Hidden":     {reason: "an object within one of another group, which kubectl takes for a list", file: "objects.yaml", old: "apiVersion", replaced: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nitems:\n- {apiVersion: doorward.dev/v1alpha1, kind: AccessPolicy, metadata: {name: all}, spec: {}}\n---\napiVersion", want: "spec.mode is required"},
		"Action":     {reason: "an action that is none is what the manager would not accept", file: "policies.yaml", old: "actions: [select]\n      resources", replaced: "actions: [selct]\n      resources", want: "did you mean \"select\"?", failed: true},
		"Provider":   {reason: "a provider that is none", file: "policies.yaml", old: "identityProvider: company", replaced: "identityProvider: compny", want: "policies.yaml:11: AccessPolicy shop-access/analysts is not accepted: ReferenceNotFound", failed: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := call(t, "test", edited(t, tc.file, tc.old, tc.replaced))
			if err == nil || errors.Is(err, clipolicy.ErrTestsFailed) != tc.failed {
				t.Fatalf("%s: %v\n%s", tc.reason, err, out)
			}
			if text := out + err.Error(); !strings.Contains(text, tc.want) {
				t.Errorf("%s: no %q in\n%s", tc.reason, tc.want, text)
			}
		})
	}
}

// TestFiles: the order of files, and that of documents, decides nothing; neither do
// kinds of others, lists and folders without YAML.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(shop, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var items strings.Builder
	for document := range strings.SplitSeq(read("policies.yaml"), "\n---\n") {
		_, object, _ := strings.Cut(document, "apiVersion")
		items.WriteString("- apiVersion" + strings.ReplaceAll(object, "\n", "\n  ") + "\n")
	}
	write("policies/list.yaml", "apiVersion: v1\nkind: List\nitems:\n"+items.String())
	write("policies/objects.yml", "--- # of others, too\n\n---\n"+read("objects.yaml"))
	write("policies/kustomization.yaml", "resources: [list.yaml]\n")
	write("policies/.hidden.yaml", "kind: [\n")
	write("policies/notes.txt", "not YAML")
	out, err := call(t, "test", dir, filepath.Join(shop, "tests.yaml"))
	if err != nil || !strings.Contains(out, "5 cases, 0 failed; 5 policies, 0 not accepted") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = call(t, "explain", "-f", dir, "--provider", "company", "--as", "alice", "--group", "analysts", "-c", "orders-db", "delete public.orders", "--property", "unboundedWrite")
	if want := "list.yaml:38"; !errors.Is(err, clipolicy.ErrDenied) || !strings.Contains(out, want) {
		t.Errorf("no %q: %v\n%s", want, err, out)
	}
	if _, err := call(t, "test", filepath.Join(dir, "nothing")); err == nil {
		t.Error("a folder that is not there holds no failing test")
	}
	if _, err := call(t, "test", write("empty/readme.txt", "")); err == nil {
		t.Error("a file that holds nothing has no failing test")
	}
}
