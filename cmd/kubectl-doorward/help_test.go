// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

var update = flag.Bool("update", false, "write the golden help texts anew")

// elsewhere are verbs whose golden texts are in testdata/help.txtar of their own packages.
var elsewhere = []string{"connect", "doctor", "login", "logout", "proxy", "replay", "token"}

// verbs are all others of the plugin, so that a new one has a golden text, too.
func verbs() []string {
	var names []string
	for _, cmd := range newCommand(genericiooptions.NewTestIOStreamsDiscard()).Commands() {
		if !slices.Contains(elsewhere, cmd.Name()) {
			names = append(names, cmd.Name())
		}
	}
	return names
}

// TestHelp: what a verb says of itself is read by people, so a change of it shows in review.
func TestHelp(t *testing.T) {
	// The default of --cache-dir is below the home directory.
	t.Setenv("HOME", "/home/user")
	t.Setenv("KUBECACHEDIR", "")
	for _, verb := range verbs() {
		t.Run(verb, func(t *testing.T) {
			var out bytes.Buffer
			cmd := newCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
			cmd.SetArgs([]string{verb, "--help"})
			if err := cmd.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "help", verb+".txt")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); diff != "" {
				t.Errorf("help differs, -want +got; go test ./cmd/kubectl-doorward -run TestHelp -update writes it anew:\n%s", diff)
			}
		})
	}
}

// Under the name that kubectl looks for, the words are completed.
func TestArguments(t *testing.T) {
	cases := map[string]struct {
		reason string
		called []string
		want   []string
	}{
		"Command":   {"as it is called", []string{"/usr/bin/kubectl-doorward", "ls"}, []string{"ls"}},
		"Completer": {"kubectl asks a command of this name", []string{"/usr/bin/kubectl_complete-doorward", "approve", ""}, []string{"__complete", "approve", ""}},
		"Windows":   {"and one of this name there", []string{"kubectl_complete-doorward.exe", "l"}, []string{"__complete", "l"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, arguments(tc.called)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}
