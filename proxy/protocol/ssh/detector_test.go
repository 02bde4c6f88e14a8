// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// onCall is a policy of who has a shell, and is told of a few slips.
var onCall = policy.Policy{Name: "on-call", UID: "uid-on-call", Generation: 4, Rules: []policy.Rule{
	{Name: "shell", Effect: policy.Allow, Actions: []string{actionShell}},
	{Name: "reads", Effect: policy.Allow, Actions: []string{actionExec}, Resources: []string{"cat"}},
	{Name: "slips", Effect: policy.Deny, Actions: []string{actionExec, "write"}, Resources: []string{"uptime", "systemctl stop", "/etc/*"}, Message: "ask first"},
	{Name: "asks", Effect: policy.RequireApproval, Actions: []string{actionExec}, Resources: []string{"whoami"}},
	{Name: "unreadable", Effect: policy.Deny, Actions: []string{policy.ActionUnknown}},
}}

// advise has the rules of onCall in force.
func (b *bench) advise(tb testing.TB) {
	tb.Helper()
	b.Engine.Set(func(op policy.Operation) policy.Decision {
		for _, effect := range []policy.Effect{policy.Deny, policy.RequireApproval, policy.Allow} {
			for i := range onCall.Rules {
				for _, a := range op.Accesses {
					if rule := &onCall.Rules[i]; rule.Effect == effect && rule.Matches(a) {
						ref := policy.RuleRef{Policy: onCall.Name, UID: onCall.UID, Generation: onCall.Generation, Rule: rule.Name}
						return policy.Decision{Effect: effect, Rules: []policy.RuleRef{ref}, Access: a, Approval: []policy.ApprovalTerms{{Minimum: 1, TimeoutSeconds: 600}}}
					}
				}
			}
		}
		return policy.Decision{Effect: policy.Deny, Access: op.Accesses[0]}
	})
	b.Apply(tb, func(s *snapshot.Snapshot) { s.Policies = policy.Set{Policies: []policy.Policy{onCall}} })
}

func advisory(_ *protocoltest.Config, o map[string]any) {
	o["advisory"], o["shell"] = advisoryEnd, "bash"
}

// honest is what ends no session: what is not allowed, asks for approval, cannot be read, or only
// looks like what is denied.
const honest = "id >/dev/null\nwhoami\necho uptime\n$unset\n. /dev/null; eval true\ncat </etc/hostname >/dev/null\nman uptime >/dev/null 2>&1 </dev/null\n"

// TestAdvisory: what is denied by a rule ends a session in whose shell it is typed, with a terminal
// and without; the caller is told, and the record, which says that it is no control (checklist 8).
func TestAdvisory(t *testing.T) {
	b := newBench(t, startDaemon(t), advisory)
	b.advise(t)
	for name, test := range map[string]struct{ typed, names string }{
		"command":     {"uptime", "exec uptime"},
		"in a line":   {"cd / && sudo -n uptime -p", "exec uptime"},
		"beside much": {"foo=$(uptime) no-such-program $unset", "exec uptime"},
		"operand":     {"systemctl stop no-such-unit", "exec systemctl stop"},
		"redirection": {"true >>/etc/hostname", "write /etc/*"},
		"corrected":   {"uptmi\x7f\x7fime", "exec uptime"},
		"pasted":      {"\x1b[200~uptime\x1b[201~", "exec uptime"},
	} {
		for _, terminal := range []string{"-tt", "-T"} {
			if terminal == "-T" && strings.ContainsAny(test.typed, "\x1b\x7f") {
				continue // no keys
			}
			t.Run(name+terminal, func(t *testing.T) {
				before := len(b.Log.OfType(record.SessionEnd))
				_, errs, status := finish(t, b.ssh(t, terminal, "GATEWAY"), honest+test.typed+"\nsleep 60\n")
				for _, want := range []string{
					"Doorward: the advisory detector ended the session", `"` + test.names + `"`, `rule "slips" of AccessPolicy "on-call" (generation 4): ask first`,
					"no control", "kubectl -n shop get accesspolicy on-call -o yaml",
				} {
					if !strings.Contains(errs, want) {
						t.Errorf("told %q, which lacks %q", errs, want)
					}
				}
				if status != statusEnded {
					t.Errorf("status %d", status)
				}
				await(t, "the session's end", func() bool { return len(b.Log.OfType(record.SessionEnd)) > before })
				end := b.Log.OfType(record.SessionEnd)[before]
				if end.ReasonCode != record.EndAdvisory || end.Decision == nil || end.Decision.Rules[0].Rule != "slips" || !strings.Contains(end.Reason, test.names) {
					t.Errorf("the end is %s %+v: %s", end.ReasonCode, end.Decision, end.Reason)
				}
			})
		}
	}
	for _, terminal := range []string{"-tt", "-T"} {
		t.Run("honest"+terminal, func(t *testing.T) {
			if _, errs, status := finish(t, b.ssh(t, terminal, "GATEWAY"), honest+"exit 3\n"); status != 3 || strings.Contains(errs, "Doorward") {
				t.Errorf("status %d: %q", status, errs)
			}
		})
	}
	if got := b.decided(); len(got) != 1 || got[actionShell] != "Allow" {
		t.Errorf("a line was decided: %v", got)
	}
	// What a shell without a terminal reads last needs no line feed.
	if _, errs, _ := finish(t, b.ssh(t, "-T", "GATEWAY"), "exec sleep 60 <&-; uptime"); !strings.Contains(errs, "advisory detector") {
		t.Errorf("told %q", errs)
	}
}

// TestAdvisoryOff: nothing is looked at unless the Connection asks for it, and only in shells (checklist 8).
func TestAdvisoryOff(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.advise(t)
	if out, errs, status := finish(t, b.ssh(t, "-T", "GATEWAY"), "uptime\nexit 3\n"); status != 3 || !strings.Contains(out, "load") {
		t.Errorf("unset: %q %q %d", out, errs, status)
	}
	b = newBench(t, startDaemon(t), advisory)
	b.advise(t)
	if out, errs, status := finish(t, b.ssh(t, "-T", "GATEWAY", "cat"), "uptime\n"); status != 0 || out != "uptime\n" {
		t.Errorf("a command's input: %q %q %d", out, errs, status)
	}
}

// TestAdvisoryElsewhere: what an editor takes ends nothing. What is typed where a terminal does not
// show it is not on record, also where it ends the session (checklist 8).
func TestAdvisoryElsewhere(t *testing.T) {
	b := newBench(t, startDaemon(t), advisory)
	b.advise(t)
	program, in, out := terminal(t, b.mustDial(t))
	typed := func(line, shown string) {
		t.Helper()
		fmt.Fprint(in, line+"\r")
		await(t, shown, func() bool { return strings.Contains(out.String(), shown) })
	}
	typed(`printf '\033[?1049h'; read -r x; printf "it was $x\033[?1049l\n"; echo do''ne`, "\x1b[?1049h")
	typed("uptime", "it was uptime")
	typed("", "done")
	typed("stty -echo; echo hid''den; read -r x", "hidden")
	fmt.Fprint(in, "uptime "+canary+"\r")
	var exit *ssh.ExitError
	if err := program.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != statusEnded {
		t.Errorf("the shell ended with %v", err)
	}
	end := b.Log.Await(deadline(t), t, "end", func(e record.Event) bool { return e.Type == record.SessionEnd })
	if end.ReasonCode != record.EndAdvisory {
		t.Errorf("the end is %s: %s", end.ReasonCode, end.Reason)
	}
	for _, e := range b.Log.Events() {
		if line := record.AppendJSON(nil, record.Position{}, record.Hash{}, &e); strings.Contains(string(line), canary) {
			t.Errorf("on record: %s", line)
		}
	}
}
