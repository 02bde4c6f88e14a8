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
		"Policy":     {reason: "explain reads what the protocols of this build say", args: []string{"__complete", "policy", "explain", "-f", "../../cli/policy/testdata/shop", "-c", "orders-db", "trunc"}, want: "truncate\n"},
		"Statement": {
			reason: "and statements of those that have some",
			args:   []string{"policy", "explain", "-f", "../../cli/policy/testdata/shop", "-c", "orders-db", "--provider", "company", "--as", "alice", "--group", "analysts", "--statement", "SELECT * FROM public.orders"},
			want:   "Allowed: alice: select public.orders",
		},
		"PolicyTest": {reason: "test needs no cluster", args: []string{"policy", "test", "../../cli/policy/testdata/shop"}, want: "5 cases, 0 failed"},
		"Replay":     {reason: "policies are replayed", args: []string{"policy", "replay", "--help"}, want: "kubectl doorward policy replay"},
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
