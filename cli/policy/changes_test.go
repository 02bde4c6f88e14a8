// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clipolicy "github.com/doorward/doorward/cli/policy"
)

// listed are the lines of a list of an explanation.
func listed(out, title string) []string {
	_, rest, _ := strings.Cut(out, "\n"+title+"\n")
	var lines []string
	for line := range strings.Lines(rest) {
		text, ok := strings.CutPrefix(line, "  - ")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSuffix(text, "\n"))
	}
	return lines
}

// TestChanges: for each reason of a refusal, what would have to change, the file and the
// line where it is written, and nothing else.
func TestChanges(t *testing.T) {
	saturday, night := "2026-11-28T12:00:00Z", "2026-11-27T23:00:00Z"
	const policies = shop + "/policies.yaml:"
	letThrough := func(rule, access, because, line string) string {
		return "be let through by rule " + rule + ", which is about " + access + ", but whose policy does not let this caller through: " + because + ": " + policies + line
	}
	cases := map[string]struct {
		reason string
		args   []string
		cause  string
		want   []string
	}{
		"NoRule": {
			reason: "no rule is about it", args: []string{"--as", "alice", "--group", "analysts", "--at", saturday, "create private.notes"},
			want: []string{`be allowed by a rule for create private.notes: {name: ..., effect: Allow, actions: [create], resources: ["private.notes"]}, in a policy that applies: analysts (` + policies + `5)`},
		},
		"Rule": {
			reason: "a rule refuses, and what is left is allowed", args: []string{"--as", "bob", "--group", "oncall", "--group", "analysts", "--from", "10.1.1.1", "--at", night, "--property", "unboundedWrite", "update public.customers"},
			want: []string{"no longer be refused by rule analysts/no-unbounded-writes: " + policies + "36", "or lack the property unboundedWrite: the answer is then Allow"},
		},
		"Cluster": {
			reason: "a ClusterAccessPolicy refuses what a namespace allows", args: []string{"--as", "bob", "--group", "oncall", "--from", "10.1.1.1", "--at", night, "drop public.orders"},
			want: []string{"no longer be refused by rule no-drops/drops: " + policies + "137"},
		},
		"Schedule": {
			reason: "it is the wrong time, and the right address", args: []string{"--as", "bob", "--group", "oncall", "--from", "10.1.1.1", "--at", saturday, "insert public.orders"},
			cause: `AccessPolicy "oncall": spec.when[0] (Schedule) does not hold`,
			want:  []string{letThrough("oncall/repair", "insert public.orders", "schedule: Sat 13:00 in Europe/Berlin is not within Mon,Tue,Wed,Thu,Fri 18:00-08:00", "89")},
		},
		"Source": {
			reason: "it is the wrong address, and the right time", args: []string{"--as", "bob", "--group", "oncall", "--from", "192.168.1.1", "--at", night, "insert public.orders"},
			cause: `AccessPolicy "oncall": spec.when[1] (SourceCIDRs) does not hold`,
			want:  []string{letThrough("oncall/repair", "insert public.orders", "source: 192.168.1.1 is not in 10.0.0.0/8", "89")},
		},
		"NoAddress": {
			reason: "the address is not known", args: []string{"--as", "bob", "--group", "oncall", "--at", night, "insert public.orders"},
			cause: `AccessPolicy "oncall": spec.when[1] (SourceCIDRs) does not hold, as the caller's address is not known`,
			want:  []string{letThrough("oncall/repair", "insert public.orders", "Human and Group oncall of company; only what restricts in it: the caller's address is not known", "89")},
		},
		"Delegation": {
			reason: "the policy is not about who acts for another", args: []string{"--as", "alice", "--group", "analysts", "--actor", "bot", "--kind", "Agent", "--at", saturday, "select public.customers"},
			cause: `AccessPolicy "analysts": no subject of it names a delegation, and the caller acts for somebody`,
			want: []string{
				letThrough("analysts/read", "select public.customers", "Group analysts of company; only what restricts in it: the caller acts for somebody, and no subject of it names a delegation (Actor, OnBehalfOfUser, OnBehalfOfGroup)", "21"),
				letThrough("oncall/repair", "select public.customers", "subject: Human and Group oncall of company: the caller is not Group oncall", "89"),
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := call(t, append([]string{"explain", "-f", shop, "--provider", "company", "-c", "orders-db"}, tc.args...)...)
			if !errors.Is(err, clipolicy.ErrDenied) {
				t.Fatalf("%s: %v\n%s", tc.reason, err, out)
			}
			if got := listed(out, "To be allowed, it would have to"); !slices.Equal(got, tc.want) {
				t.Errorf("%s: got\n%s\nwant\n%s", tc.reason, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			if told := strings.Contains(out, "\n  cause: "+tc.cause+"\n"); told != (tc.cause != "") || tc.cause == "" && strings.Contains(out, "cause: ") {
				t.Errorf("%s: not the cause %q:\n%s", tc.reason, tc.cause, out)
			}
		})
	}
}

// TestLimitsAreNoted: what only a proxy knows is said of what is allowed.
func TestLimitsAreNoted(t *testing.T) {
	ask := func(action string) []string {
		out, _ := call(t, "explain", "-f", shop, "--provider", "company", "-c", "orders-db", "--as", "alice", "--group", "analysts", action)
		return listed(out, "Notes")
	}
	const note = "limits are counted by proxies: an operation that they leave nothing for is refused all the same"
	if notes := ask("select public.orders"); !slices.Contains(notes, note) {
		t.Errorf("what is allowed within limits: %q", notes)
	}
	if notes := ask("drop public.orders"); slices.Contains(notes, note) {
		t.Errorf("what is refused anyway: %q", notes)
	}
}

// TestCauseOfModules: why a module of Rego could not decide is told, also in mode Audit.
func TestCauseOfModules(t *testing.T) {
	dir := edited(t, "tests.yaml", "cases:", "cases:")
	broken := strings.Replace(reporting, `access.action == "select"`, `access.action == "select"
      	to_number(input.caller.user) > 0`, 1)
	ask := func(text string) (string, error) {
		if err := os.WriteFile(filepath.Join(dir, "reporting.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return call(t, "explain", "-f", dir, "--provider", "company", "--as", "rob", "--group", "reporting", "--group", "analysts", "-c", "orders-db", "select public.orders")
	}
	const cause = "  cause: AccessPolicy \"reporting\": spec.rego: to_number("
	out, err := ask(broken)
	if !errors.Is(err, clipolicy.ErrDenied) || !strings.Contains(out, "\n"+cause) || !strings.Contains(out, "to_number") {
		t.Errorf("a module that fails refuses, and says why: %v\n%s", err, out)
	}
	out, err = ask(strings.Replace(broken, "mode: Enforce", "mode: Audit", 1))
	if _, would, found := strings.Cut(out, "If policies in mode Audit were enforced: Denied\n"); err != nil || !found || !strings.HasPrefix(would, cause) {
		t.Errorf("in mode Audit it would have: %v\n%s", err, out)
	}
	if out, err = call(t, "explain", "-f", dir, "-o", "json", "--provider", "company", "--as", "rob", "--group", "reporting", "--group", "analysts", "-c", "orders-db", "select public.orders"); err != nil || !strings.Contains(out, `"cause": "AccessPolicy \"reporting\"`) {
		t.Errorf("for programs, too: %v\n%s", err, out)
	}
}
