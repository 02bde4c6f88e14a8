// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
)

// call runs the command on records of one operation that would be refused, and one whose
// Connection has no manifest.
func call(t *testing.T, j *journal, args ...string) (string, error) {
	t.Helper()
	load := func(context.Context, []string) (replay.Policies, error) {
		return candidates{Policies: []policy.Policy{of("p", rule("no", policy.Deny, "select", "*"))}}, nil
	}
	var out, errOut bytes.Buffer
	cmd := replay.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, load, rego.NewEngine)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"--policies", "any", "--records", j.write(t)}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String() + errOut.String(), err
}

func twoRecords(t *testing.T) *journal {
	t.Helper()
	j := &journal{}
	j.add(decided(policy.Allow, "", operation(orders)))
	e := decided(policy.Allow, "", operation(orders))
	e.Connection.Namespace, e.Connection.Name = "other", "db"
	j.add(e)
	return j
}

// TestAccept: what is agreed to passes, in exactly these words; what is not found any more
// is an error, as is whatever is misspelt.
func TestAccept(t *testing.T) {
	const gap = "undecided:\n- {reason: ConnectionUnknown, connection: other/db}\n"
	entry := func(change, caller, access, rule string) string {
		return "changes:\n- {change: " + change + ", connection: shop/db, caller: " + caller + ", access: " + access + ", rule: " + rule + "}\n"
	}
	agreed := entry("NewlyDenied", "alice (corp)", "select public.orders", "p/no")
	cases := map[string]struct {
		reason, file, text string
		passes, changed    bool
	}{
		"All":         {reason: "everything is agreed to", file: agreed + gap, passes: true},
		"AllCallers":  {reason: "whoever it is", file: entry("NewlyDenied", "'*'", "select public.orders", "p/no") + gap, passes: true},
		"NotTheGap":   {reason: "what is undecided must be agreed to as well", file: agreed, changed: true},
		"NotTheGroup": {reason: "and what is different", file: gap, changed: true},
		"Nothing":     {reason: "an empty file agrees to nothing", file: "", changed: true},
		"Stale":       {reason: "the change does not happen", file: entry("NewlyDenied", "bob (corp)", "select public.orders", "p/no") + gap, text: "changes[0]: no such change"},
		"OtherChange": {reason: "another change does not", file: entry("NewlyHeld", "alice (corp)", "select public.orders", "p/no") + gap, text: "changes[0]: no such change"},
		"StarAccess":  {reason: "a star stands for callers only", file: entry("NewlyDenied", "alice (corp)", "'*'", "p/no") + gap, text: "changes[0]: no such change"},
		"StaleGap":    {reason: "everything could be decided there", file: agreed + "undecided:\n- {reason: ConnectionUnknown, connection: shop/db}\n", text: "undecided[0]"},
		"Twice":       {reason: "an entry is there twice", file: agreed + strings.TrimPrefix(agreed, "changes:\n") + gap, text: "twice"},
		"Typo":        {reason: "checklist 40: a misspelt change is an error", file: entry("NewlyDenyed", "alice (corp)", "select public.orders", "p/no"), text: "unknown change"},
		"TypoKey":     {reason: "checklist 40: so is a misspelt key", file: "change:\n" + strings.TrimPrefix(agreed, "changes:\n"), text: "unknown field"},
		"NoRule":      {reason: "a group is named in full", file: "changes:\n- {change: NewlyDenied, connection: shop/db, caller: alice, access: select}\n", text: "are needed"},
		"NoReason":    {reason: "so is a gap", file: "undecided:\n- {connection: shop/db}\n", text: "a reason is needed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "accept.yaml")
			if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := call(t, twoRecords(t), "--accept", path)
			switch {
			case tc.passes && err != nil, tc.changed && !errors.Is(err, replay.ErrChanged), tc.text != "" && (err == nil || !strings.Contains(err.Error(), tc.text)):
				t.Errorf("%s: %v\n%s", tc.reason, err, out)
			}
		})
	}
}

// TestReportIsAccepted: a report in YAML is an accept file that agrees to all of it.
func TestReportIsAccepted(t *testing.T) {
	report, err := call(t, twoRecords(t), "-o", "yaml")
	if !errors.Is(err, replay.ErrChanged) {
		t.Fatalf("%v\n%s", err, report)
	}
	path := filepath.Join(t.TempDir(), "accept.yaml")
	if err := os.WriteFile(path, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := call(t, twoRecords(t), "--accept", path); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCommandRefuses: what cannot be meant is an error, and no pass.
func TestCommandRefuses(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		args         []string
	}{
		"Session":    {reason: "records that are not there prove nothing", args: []string{"--session", "s-9"}, text: "no operation was found"},
		"Connection": {reason: "neither do those of another Connection", args: []string{"--connection", "shop/other"}, text: "no operation was found"},
		"NoFile":     {reason: "a session is no file", args: []string{"--records", "s-1"}, text: "--session"},
		"Format":     {reason: "a format that there is not", args: []string{"-o", "xml"}, text: "xml"},
		"NoAccept":   {reason: "a file that is not there", args: []string{"--accept", "missing.yaml"}, text: "missing.yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if out, err := call(t, twoRecords(t), tc.args...); err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: %v\n%s", tc.reason, err, out)
			}
		})
	}
	if out, err := call(t, twoRecords(t), "--connection", "shop/db", "--session", "s-1"); !errors.Is(err, replay.ErrChanged) || strings.Contains(out, "other/db") {
		t.Errorf("one session of one Connection: %v\n%s", err, out)
	}
}

// TestWorkersAgree: how many decide at once changes nothing in what is found.
func TestWorkersAgree(t *testing.T) {
	j := &journal{}
	for i := range 3000 {
		e := decided(policy.Allow, "", operation(policy.Access{Action: "select", Resource: "public.t" + string(rune('a'+i%7))}))
		e.Session, e.OperationID = "s-"+string(rune('a'+i%11)), uint64(i)
		e.Actor.UserName = "user-" + string(rune('a'+i%11))
		j.add(e)
	}
	path, before := j.write(t), ""
	for _, workers := range []int{1, 2, 7} {
		set := candidates{Policies: []policy.Policy{of("p", rule("ok", policy.Allow, "select", "public.ta"), rule("no", policy.Deny, "select", "public.tb"))}}
		report, _, err := replay.Run(t.Context(), replay.Source{Paths: []string{path, path}, Workers: workers}, set, rego.NewEngine)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := report.Print(&out, "json"); err != nil {
			t.Fatal(err)
		}
		if before != "" && out.String() != before || report.Operations != 3000 || len(report.Changes) != 66 {
			t.Errorf("%d workers: %d operations, %d groups, or another report", workers, report.Operations, len(report.Changes))
		}
		before = out.String()
	}
}
