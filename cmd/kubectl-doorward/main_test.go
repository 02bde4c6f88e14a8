// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestCommand(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   string
		fails  bool
	}{
		"Version":    {reason: "every command says its version", args: []string{"version"}, want: "\n"},
		"Help":       {reason: "the name is how kubectl calls it", args: []string{"audit", "verify", "--help"}, want: "kubectl doorward audit verify PATH... [flags]"},
		"Completion": {reason: "kubectl asks for completions", args: []string{"__complete", "audit", ""}, want: "checkpoints\t"},
		"Unknown":    {reason: "a typo is an error", args: []string{"audti"}, fails: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := newCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
			cmd.SetArgs(tc.args)
			if err := cmd.ExecuteContext(t.Context()); (err != nil) != tc.fails {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if !strings.Contains(out.String(), tc.want) {
				t.Errorf("%s: no %q in %q", tc.reason, tc.want, out.String())
			}
		})
	}
}
