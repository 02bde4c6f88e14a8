// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const logID = "0123456789abcdef0123456789abcdef"

// noon is a Wednesday.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// journal is a file of records, made by the encoder that proxies use.
type journal struct {
	lines []string
	leaf  record.Hash
}

func (j *journal) add(e record.Event) {
	if e.Time.IsZero() {
		e.Time = noon
	}
	if e.Connection == (record.Connection{}) {
		e.Connection = record.Connection{Namespace: "shop", Name: "db", UID: "1"}
	}
	if e.Session == "" {
		e.Session = "s-1"
	}
	line := record.AppendJSON(nil, record.Position{LogID: logID, Index: int64(len(j.lines))}, j.leaf, &e)
	j.leaf = record.LeafHash(line)
	j.lines = append(j.lines, string(line))
}

func (j *journal) write(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "records.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(j.lines, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// candidates are a Set on shop/db, and nothing elsewhere.
type candidates policy.Set

func (c candidates) Of(namespace, name string) (replay.Candidate, error) {
	if namespace != "shop" || name != "db" {
		return replay.Candidate{}, replay.ErrNoConnection
	}
	return replay.Candidate{Set: policy.Set(c), About: policy.About{Namespace: namespace, Name: name}}, nil
}

func run(tb testing.TB, j *journal, set ...policy.Policy) *replay.Report {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	report, problems, err := replay.Run(ctx, replay.Source{Paths: []string{j.write(tb)}, Workers: 3}, candidates{Policies: set}, rego.NewEngine)
	if err != nil || len(problems) > 0 {
		tb.Fatalf("%v, %v", err, problems)
	}
	return report
}

func alice() *identity.Principal {
	return &identity.Principal{Provider: "corp", Subject: "1", UserName: "alice", Groups: []string{"staff"}, Kind: identity.Human}
}

func rule(name string, effect policy.Effect, action, resource string) policy.Rule {
	r := policy.Rule{Name: name, Effect: effect, Actions: []string{action}, Resources: []string{resource}}
	if effect == policy.RequireApproval {
		r.Approval = &policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: policy.Group, Name: "leads"}}, Minimum: 1, TimeoutSeconds: 60}
	}
	return r
}

func of(name string, rules ...policy.Rule) policy.Policy {
	return policy.Policy{Name: name, UID: name, Generation: 1, Subjects: []policy.Subject{{Kind: policy.Group, Name: "staff"}}, Rules: rules}
}

func operation(does ...policy.Access) *record.Operation {
	return &record.Operation{Protocol: "postgres", Kind: "SELECT", Statement: "SELECT", Accesses: does, Fields: []string{}}
}

func decided(effect policy.Effect, reason access.Reason, op *record.Operation) record.Event {
	e := record.Event{Type: record.OperationDecided, OperationID: 1, Actor: alice(), ClientAddress: "192.0.2.7:50000", Operation: op, Decision: &record.Decision{Effect: effect}, Reason: string(reason)}
	if reason != access.ReasonNotAllowed {
		e.Decision.Rules = []policy.RuleRef{{Policy: "then", Rule: "r"}}
	}
	return e
}

var (
	orders  = policy.Access{Action: "select", Resource: "public.orders"}
	secrets = policy.Access{Action: "select", Resource: "public.secrets"}
)

// TestEffects: each way in which an effect can change, and each in which it cannot.
func TestEffects(t *testing.T) {
	allow, hold, deny := of("p", rule("ok", policy.Allow, "select", "*")), of("p", rule("ask", policy.RequireApproval, "select", "*")), of("p", rule("no", policy.Deny, "select", "*"))
	cases := map[string]struct {
		reason string
		was    record.Event
		now    policy.Policy
		want   string
	}{
		"AllowedStays":  {reason: "nothing changes", was: decided(policy.Allow, "", operation(orders)), now: allow},
		"AllowedDenied": {reason: "a rule refuses now", was: decided(policy.Allow, "", operation(orders)), now: deny, want: "NewlyDenied select public.orders p/no"},
		"AllowedNoRule": {reason: "no rule allows any more", was: decided(policy.Allow, "", operation(orders)), now: of("p", rule("ok", policy.Allow, "select", "other")), want: "NewlyDenied select public.orders no rule allows it"},
		"AllowedHeld":   {reason: "an approval is needed now", was: decided(policy.Allow, "", operation(orders)), now: hold, want: "NewlyHeld select public.orders p/ask"},
		"HeldStays":     {reason: "it was approved, and would be asked for again", was: decided(policy.RequireApproval, "", operation(orders)), now: hold},
		"HeldAllowed":   {reason: "no approval is needed any more", was: decided(policy.RequireApproval, "", operation(orders)), now: allow, want: "NoLongerHeld select public.orders p/ok"},
		"HeldDenied":    {reason: "no approver is asked any more", was: decided(policy.RequireApproval, "", operation(orders)), now: deny, want: "NewlyDenied select public.orders p/no"},
		"TimedOut":      {reason: "an approval that did not come was asked for", was: decided(policy.Deny, access.ReasonApprovalTimeout, operation(orders)), now: hold},
		"SaidNo":        {reason: "an approver who said no was asked", was: decided(policy.Deny, access.ReasonApprovalDenied, operation(orders)), now: allow, want: "NoLongerHeld select public.orders p/ok"},
		"Void":          {reason: "so was one whose word came to nothing", was: decided(policy.Deny, access.ReasonApprovalVoid, operation(orders)), now: hold},
		"NotMapped":     {reason: "who could not ask needed an approval", was: decided(policy.Deny, access.ReasonRequesterNotMapped, operation(orders)), now: hold},
		"DeniedStays":   {reason: "refused by a rule, and by none", was: decided(policy.Deny, access.ReasonDenied, operation(orders)), now: of("p", rule("ok", policy.Allow, "select", "other"))},
		"DeniedAllowed": {reason: "the rule is gone", was: decided(policy.Deny, access.ReasonDenied, operation(orders)), now: allow, want: "NewlyAllowed select public.orders p/ok"},
		"DefaultDenied": {reason: "a rule allows what none did", was: decided(policy.Deny, access.ReasonNotAllowed, operation(orders, secrets)), now: allow, want: "NewlyAllowed select public.orders, select public.secrets p/ok"},
		"DeniedHeld":    {reason: "an approver can let it through", was: decided(policy.Deny, access.ReasonDenied, operation(orders)), now: hold, want: "NewlyHeld select public.orders p/ask"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			j.add(tc.was)
			report := run(t, j, tc.now)
			got := ""
			for _, g := range report.Changes {
				got += strings.Join([]string{g.Change, g.Access, g.Rule}, " ")
				if g.Count != 1 || g.Example != logID+"/0" || g.Caller != "alice (corp)" || g.Connection != "shop/db" {
					t.Errorf("%s: %+v", tc.reason, g)
				}
			}
			if got != tc.want || report.Decided != 1 || len(report.Undecided)+len(report.MasksUnknown)+len(report.Otherwise) > 0 {
				t.Errorf("%s: got %q, want %q: %+v", tc.reason, got, tc.want, report)
			}
		})
	}
}

// TestNotPolicies: what no policy had a say in is counted apart, by its reason.
func TestNotPolicies(t *testing.T) {
	j := &journal{}
	for _, reason := range []access.Reason{access.ReasonProtocol, access.ReasonLimit, access.ReasonSessionEnded, access.ReasonUnavailable, access.ReasonProtocol} {
		j.add(decided(policy.Deny, reason, operation(orders)))
	}
	report := run(t, j, of("p", rule("ok", policy.Allow, "select", "*")))
	got := map[string]int64{}
	for _, gap := range report.Otherwise {
		got[gap.Reason] = gap.Count
	}
	want := map[string]int64{"NeverForwarded": 2, "LimitReached": 1, "SessionEnded": 1, "Unavailable": 1}
	if diff := cmp.Diff(want, got); diff != "" || len(report.Changes) > 0 || report.Decided != 0 || report.Operations != 5 {
		t.Errorf("-want +got:\n%s%+v", diff, report)
	}
}

// TestUndecided: what cannot be decided again is never left out, and never a difference.
func TestUndecided(t *testing.T) {
	clearance := of("p", rule("ok", policy.Allow, "select", "*"))
	clearance.Subjects = []policy.Subject{{Kind: policy.Claim, Name: "clearance", Values: []string{"high"}}}
	with := func(change func(e *record.Event)) record.Event {
		e := decided(policy.Allow, "", operation(orders))
		change(&e)
		return e
	}
	cases := map[string]struct {
		reason string
		was    record.Event
		want   string
	}{
		"Claim":      {reason: "a claim that was not recorded decides", was: with(func(*record.Event) {}), want: "ClaimNotRecorded"},
		"Elsewhere":  {reason: "the Connection is not among the manifests", was: with(func(e *record.Event) { e.Connection.Namespace, e.Connection.Name = "other", "db" }), want: "ConnectionUnknown"},
		"NoDecision": {reason: "a later version's word", was: with(func(e *record.Event) { e.Decision.Effect = "Perhaps" }), want: "Incomplete"},
		"NoReason":   {reason: "why it was refused is not said", was: with(func(e *record.Event) { e.Decision.Effect = policy.Deny }), want: "Incomplete"},
		"NoOp":       {reason: "what it was is not said", was: with(func(e *record.Event) { e.Operation = nil }), want: "Incomplete"},
		"NoActor":    {reason: "who it was is not said", was: with(func(e *record.Event) { e.Actor = nil }), want: "Incomplete"},
		"Cut":        {reason: "a name was cut", was: with(func(e *record.Event) { e.Operation.Accesses[0].Resource = strings.Repeat("x", 5000) }), want: "Incomplete"},
		"CutCaller":  {reason: "a name of the caller was cut", was: with(func(e *record.Event) { e.Actor.UserName = strings.Repeat("x", 5000) }), want: "Incomplete"},
		"Held":       {reason: "what became of it is not there", was: with(func(e *record.Event) { e.Type = record.OperationHeld }), want: "StillHeld"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			j.add(tc.was)
			report := run(t, j, clearance)
			if len(report.Undecided) != 1 || report.Undecided[0].Reason != tc.want || report.Undecided[0].Count != 1 || len(report.Changes) > 0 || report.Operations != 1 {
				t.Errorf("%s: %+v, want %s", tc.reason, report, tc.want)
			}
			if !report.Open() {
				t.Errorf("%s: what is undecided must not pass", tc.reason)
			}
		})
	}
}

// reading is a policy with a module that lets through whoever has a claim; everybody, where
// none is named.
func reading(claim, provider string) policy.Policy {
	p := of("module")
	p.Subjects[0].Provider = provider
	p.Rego = "package doorward.policy\n\nallow contains access if some access in input.operation.accesses\n"
	if claim != "" {
		p.Claims = []string{claim}
		p.Rego = "package doorward.policy\n\nallow contains access if {\n\tinput.caller.claims." + claim + "\n\tsome access in input.operation.accesses\n}\n"
	}
	return p
}

// TestClaims: a claim that is not on record matters only where it could change something.
func TestClaims(t *testing.T) {
	claim := func(effect policy.Effect, resource string, values ...string) policy.Policy {
		p := of(fmt.Sprint(effect, values), rule("r", effect, "select", resource))
		p.Subjects = []policy.Subject{{Kind: policy.Claim, Name: "clearance", Values: values}}
		return p
	}
	all := of("all", rule("ok", policy.Allow, "select", "*"))
	cases := map[string]struct {
		reason string
		claims []identity.Claim
		absent []string
		now    []policy.Policy
		change string
		gap    bool
	}{
		"Absent":       {reason: "it is on record that the token lacked it", absent: []string{"clearance"}, now: []policy.Policy{all, claim(policy.Deny, "*", "none")}},
		"AbsentAllows": {reason: "so that a policy for those who have it allows nothing", absent: []string{"clearance"}, now: []policy.Policy{claim(policy.Allow, "*", "high")}, change: replay.NewlyDenied},
		"AbsentOther":  {reason: "that of another claim tells nothing", absent: []string{"team"}, now: []policy.Policy{all, claim(policy.Deny, "*", "none")}, gap: true},
		"Module":       {reason: "what a module makes of a claim that is not on record nobody can tell", now: []policy.Policy{reading("clearance", "corp")}, gap: true},
		"ModuleKnows":  {reason: "of one that is, the module says", claims: []identity.Claim{{Name: "clearance", Values: []string{"low"}}}, now: []policy.Policy{reading("clearance", "corp")}},
		"ModuleAbsent": {reason: "also where the token lacked it", absent: []string{"clearance"}, now: []policy.Policy{reading("clearance", "corp")}, change: replay.NewlyDenied},
		"ModuleOthers": {reason: "a module of a policy for callers of another provider is not asked", now: []policy.Policy{all, reading("clearance", "partner")}},
		"ModuleBeside": {reason: "a module that reads no claim keeps no case from being tried", now: []policy.Policy{all, reading("", "corp"), claim(policy.Allow, "*", "high")}},
		"Elsewhere":    {reason: "the rule is about something else", now: []policy.Policy{all, claim(policy.Deny, "public.secrets", "none")}},
		"Redundant":    {reason: "what the claim allows is allowed anyway", now: []policy.Policy{all, claim(policy.Allow, "*", "high")}},
		"Denies":       {reason: "who has the claim is refused", now: []policy.Policy{all, claim(policy.Deny, "*", "none")}, gap: true},
		"Between":      {reason: "one value allows, another refuses: none and both come to the same", now: []policy.Policy{claim(policy.Allow, "*", "high"), claim(policy.Deny, "*", "none")}, gap: true},
		"Glob":         {reason: "a value may match one glob and not the other", now: []policy.Policy{claim(policy.Allow, "*", "a*"), claim(policy.Deny, "*", "a")}, gap: true},
		"Recorded":     {reason: "it is on record", claims: []identity.Claim{{Name: "clearance", Values: []string{"none"}}}, now: []policy.Policy{all, claim(policy.Deny, "*", "none")}, change: replay.NewlyDenied},
		"RecordedElse": {reason: "another value is on record", claims: []identity.Claim{{Name: "clearance", Values: []string{"low"}}}, now: []policy.Policy{all, claim(policy.Deny, "*", "none")}},
		"Whatever":     {reason: "refused whatever the token held", now: []policy.Policy{claim(policy.Allow, "public.secrets", "a", "b*", "*c")}, change: replay.NewlyDenied},
		"Many":         {reason: "too many cases to try", now: []policy.Policy{all, claim(policy.Allow, "*", "a", "b", "c", "d", "e", "f")}, gap: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			e := decided(policy.Allow, "", operation(orders))
			e.Actor.Claims, e.Actor.AbsentClaims = tc.claims, tc.absent
			j.add(e)
			report := run(t, j, tc.now...)
			change := ""
			if len(report.Changes) > 0 {
				change = report.Changes[0].Change
			}
			if change != tc.change || (len(report.Undecided) > 0) != tc.gap {
				t.Errorf("%s: %+v", tc.reason, report)
			}
		})
	}
}

// TestCircumstances: time and address are those of the record.
func TestCircumstances(t *testing.T) {
	work := of("p", rule("ok", policy.Allow, "select", "*"))
	work.When = []policy.Condition{
		{Schedule: &policy.Schedule{TimeZone: "UTC", Windows: []policy.TimeWindow{{Days: []time.Weekday{time.Wednesday}, Start: 9 * 60, End: 17 * 60}}}},
		{Sources: []string{"192.0.2.0/24"}},
	}
	j := &journal{}
	at := func(clock time.Time, client string) {
		e := decided(policy.Allow, "", operation(orders))
		e.Time, e.ClientAddress = clock, client
		j.add(e)
	}
	at(noon, "192.0.2.1:1")
	at(noon.Add(8*time.Hour), "192.0.2.1:2")
	at(noon.Add(time.Second), "198.51.100.1:3")
	at(noon.Add(2*time.Second), "192.0.2.9:4")
	at(noon.Add(5*time.Hour-time.Nanosecond), "192.0.2.9:4")
	at(noon.Add(5*time.Hour), "192.0.2.9:4")
	at(noon, "192.0.2.9:4") // a clock may go back
	report := run(t, j, work)
	if len(report.Changes) != 1 || report.Changes[0].Count != 3 || report.Changes[0].Example != logID+"/1" {
		t.Errorf("%+v, want records 1, 2 and 5 refused", report)
	}
}

// TestSharedCredential: whether a credential is shared is not on the record of an operation:
// where policies look at it, what depends on it is undecided, and nothing else is.
func TestSharedCredential(t *testing.T) {
	none := of("none", rule("no", policy.Deny, "delete", "*"))
	none.When = []policy.Condition{{SharedCredential: true}}
	deleted := policy.Access{Action: "delete", Resource: "public.orders"}
	j := &journal{}
	j.add(decided(policy.Allow, "", operation(orders)))
	j.add(decided(policy.Allow, "", operation(deleted)))
	report := run(t, j, of("p", rule("ok", policy.Allow, "select", "*"), rule("also", policy.Allow, "delete", "*")), none)
	if len(report.Changes) != 0 || len(report.Undecided) != 1 || report.Undecided[0].Reason != "SharedCredential" || report.Undecided[0].Count != 1 {
		t.Errorf("%+v, want one that is undecided", report)
	}
}

// TestNamesAsTheyWere: what records make visible is decided by as it was.
func TestNamesAsTheyWere(t *testing.T) {
	odd := policy.Access{Action: "select", Resource: "public.a\u200bb\x01\\u{1}"}
	j := &journal{}
	j.add(decided(policy.Allow, "", operation(odd)))
	if report := run(t, j, of("p", rule("ok", policy.Allow, "select", odd.Resource))); len(report.Changes)+len(report.Undecided) > 0 {
		t.Errorf("%+v", report)
	}
}
