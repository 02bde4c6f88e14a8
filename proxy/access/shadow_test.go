// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// The policies in mode Audit of these tests, and what they would do.
var (
	strict   = policy.RuleRef{Policy: "strict", UID: "p-8", Generation: 3, Rule: "no"}
	floor    = policy.RuleRef{Cluster: true, Policy: "floor", UID: "p-9", Generation: 1, Rule: "ask"}
	namesOut = policy.Mask{Policy: "strict", Name: "names", Fields: []string{"public.*.name"}, Method: policy.Method{Type: policy.Redact}}
	content  = policy.Mask{Policy: "floor", Name: "content", Detect: []string{"Email"}, Method: policy.Method{Type: policy.Redact}}
)

// audited are decisions of an effect that would be another.
func audited(effect, would policy.Effect, rules ...policy.RuleRef) auditRules {
	r := allowing
	r.decide = policy.Decision{Effect: effect}
	if effect != policy.Deny {
		r.decide.Rules = []policy.RuleRef{ref}
	}
	if effect == policy.RequireApproval {
		r.decide = needsApproval(ref)
	}
	if would != "" {
		r.decide.Audit = &policy.Decision{Effect: would, Rules: rules}
	}
	return auditRules{rules: r}
}

// auditRules are rules with masks that would be in force.
type auditRules struct {
	rules
	would []policy.Mask
}

func (r auditRules) Standing(_ context.Context, caller identity.Principal, _ policy.Circumstances) (policy.Standing, error) {
	return placed{rules: r.rules, caller: caller, would: r.would}, nil
}

func (r auditRules) with(masks ...policy.Mask) auditRules {
	r.would = append(append([]policy.Mask{}, r.masks...), masks...)
	return r
}

// auditing puts an engine in force whose set has the policies in mode Audit.
func (w *world) auditing(engine policy.Engine) {
	w.t.Helper()
	if err := w.tryEngine(engine, func(s *snapshot.Snapshot) {
		s.Policies.Policies = append(s.Policies.Policies[:1:1],
			policy.Policy{Name: strict.Policy, UID: strict.UID, Generation: strict.Generation, Audit: true, Masks: []policy.Mask{namesOut}},
			policy.Policy{Name: floor.Policy, UID: floor.UID, Generation: floor.Generation, Cluster: true, Audit: true, Masks: []policy.Mask{content}})
	}); err != nil {
		w.t.Fatal(err)
	}
}

// counts are those of all policies that would change anything.
func (w *world) counts() map[string]AuditCount {
	counts := map[string]AuditCount{}
	for _, c := range w.gate.Audits() {
		if c.sum() > 0 {
			counts[c.Policy] = AuditCount{Deny: c.Deny, RequireApproval: c.RequireApproval, Allow: c.Allow, Mask: c.Mask}
		}
	}
	return counts
}

// TestAudit: policies in mode Audit change nothing, and what they would have changed
// is on record and counted.
func TestAudit(t *testing.T) {
	unsound := func(a *Ask) { a.WouldMask = func(mask.Rules) error { return errors.New("cannot mask") } }
	fields := func(names ...string) func(*Ask) {
		return func(a *Ask) { a.Operation.Fields = append([]string{}, names...) }
	}
	masked := allowing
	masked.masks = []policy.Mask{cards}
	cases := map[string]struct {
		reason string
		engine auditRules
		ask    func(*Ask)
		want   Reason
		would  *record.Would
		counts map[string]AuditCount
		told   policy.Effect
	}{
		"Same": {reason: "nothing would change", engine: audited(policy.Allow, "")},
		"Deny": {
			reason: "it would have been refused", engine: audited(policy.Allow, policy.Deny, strict),
			would: &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict}}, counts: map[string]AuditCount{"strict": {Deny: 1}}, told: policy.Deny,
		},
		"DenyTwice": {
			reason: "a policy counts an operation once", engine: audited(policy.Allow, policy.Deny, strict, policy.RuleRef{Policy: "strict", UID: "p-8", Generation: 3, Rule: "never"}, floor),
			would:  &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict, {Policy: "strict", UID: "p-8", Generation: 3, Rule: "never"}, floor}},
			counts: map[string]AuditCount{"strict": {Deny: 1}, "floor": {Deny: 1}}, told: policy.Deny,
		},
		"Ask": {
			reason: "somebody would have been asked; what is enforced anyway does not count", engine: audited(policy.Allow, policy.RequireApproval, ref, floor),
			would: &record.Would{Effect: policy.RequireApproval, Rules: []policy.RuleRef{ref, floor}}, counts: map[string]AuditCount{"floor": {RequireApproval: 1}}, told: policy.RequireApproval,
		},
		"Allow": {
			reason: "it would have been allowed", engine: audited(policy.Deny, policy.Allow, strict), want: ReasonNotAllowed,
			would: &record.Would{Effect: policy.Allow, Rules: []policy.RuleRef{strict}}, counts: map[string]AuditCount{"strict": {Allow: 1}}, told: policy.Allow,
		},
		"OtherRefusal": {
			reason: "what no policy could allow would have been refused, too", engine: audited(policy.Allow, policy.Deny, strict), want: ReasonProtocol,
			ask: func(a *Ask) { a.Refuse = &Refusal{Reason: ReasonProtocol, Message: "never"} },
		},
		"NotMaskable": {
			reason: "what the masks in force refuse would have been refused, too", engine: audited(policy.Allow, "").with(namesOut), want: ReasonMasked,
			ask: func(a *Ask) { a.CheckMasks = func(mask.Rules) error { return errors.New("cannot mask") } },
		},
		"Mask": {
			reason: "the answer would have been masked", engine: audited(policy.Allow, "").with(namesOut), ask: fields("public.users.id", "public.users.name"),
			would:  &record.Would{Effect: policy.Allow, Rules: []policy.RuleRef{ref}, Masks: []string{"strict/names"}},
			counts: map[string]AuditCount{"strict": {Mask: 1}}, told: "Mask",
		},
		"MaskMore": {
			reason: "all masks that would be in force are named", engine: auditRules{rules: masked}.with(namesOut, content), ask: fields("public.users.id"),
			would:  &record.Would{Effect: policy.Allow, Rules: []policy.RuleRef{ref}, Masks: []string{"shop/cards", "strict/names", "floor/content"}},
			counts: map[string]AuditCount{"floor": {Mask: 1}}, told: "Mask",
		},
		"MaskElsewhere": {reason: "the mask is about other fields", engine: audited(policy.Allow, "").with(namesOut), ask: fields("public.users.id")},
		"MaskNothing":   {reason: "the answer holds no rows", engine: audited(policy.Allow, "").with(namesOut, content), ask: func(a *Ask) { a.Unmetered = true }},
		"MaskUnknown": {
			reason: "nobody knows what the answer shows", engine: audited(policy.Allow, "").with(namesOut),
			would:  &record.Would{Effect: policy.Allow, Rules: []policy.RuleRef{ref}, Masks: []string{"strict/names"}},
			counts: map[string]AuditCount{"strict": {Mask: 1}}, told: "Mask",
		},
		"MaskRefuses": {
			reason: "the answer could not have been masked", engine: audited(policy.Allow, "").with(namesOut), ask: unsound,
			would:  &record.Would{Effect: policy.Deny, Masks: []string{"strict/names"}, Cause: "cannot mask"},
			counts: map[string]AuditCount{"strict": {Deny: 1}}, told: policy.Deny,
		},
		"MaskAndAllow": {
			reason: "it would have been allowed, and masked", engine: audited(policy.Deny, policy.Allow, strict).with(namesOut), ask: fields("public.users.name"), want: ReasonNotAllowed,
			would:  &record.Would{Effect: policy.Allow, Rules: []policy.RuleRef{strict}, Masks: []string{"strict/names"}},
			counts: map[string]AuditCount{"strict": {Allow: 1, Mask: 1}}, told: policy.Allow,
		},
		"DenyAndMask": {
			reason: "of what would have been refused nothing would have been masked", engine: audited(policy.Allow, policy.Deny, strict).with(namesOut),
			would: &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict}}, counts: map[string]AuditCount{"strict": {Deny: 1}}, told: policy.Deny,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			seen := &watching{}
			w := newWorld(t, allowing)
			w.gate.config.Observers = []Observer{seen}
			w.auditing(tc.engine)
			g := w.authorize()
			defer g.Close("")
			ask := statement(func(a *Ask) {
				if tc.ask != nil {
					tc.ask(a)
				}
			})
			permit, err := g.Decide(t.Context(), ask)
			if reason(err) != tc.want {
				t.Fatalf("%s: %v, want reason %q", tc.reason, err, tc.want)
			}
			if err == nil {
				if !permit.Masks().Same(g.view.Load().rules) {
					t.Errorf("%s: masks are in force that are not enforced", tc.reason)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
			}
			if diff := cmp.Diff(tc.would, w.last(record.OperationDecided).Decision.Audit, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: on record: -want +got:\n%s", tc.reason, diff)
			}
			if tc.counts == nil {
				tc.counts = map[string]AuditCount{}
			}
			if diff := cmp.Diff(tc.counts, w.counts()); diff != "" {
				t.Errorf("%s: counts: -want +got:\n%s", tc.reason, diff)
			}
			if seen.would != tc.told {
				t.Errorf("%s: watchers are told %q, want %q", tc.reason, seen.would, tc.told)
			}
		})
	}
}

// watching keeps what it was told last.
type watching struct {
	idleObserver
	would policy.Effect
}

func (w *watching) Opened(*Login, string) Watcher { return w }
func (w *watching) Operation(o Observed)          { w.would = o.Would }

// TestAuditHeld: what was held says what would have been, whatever the approver says.
func TestAuditHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.auditing(audited(policy.RequireApproval, policy.Deny, strict))
		g := w.authorize()
		defer g.Close("")
		for _, state := range []string{Approved, Denied} {
			permit, err := whileHeld(t, w, g, func(r *request) { r.outcome <- Outcome{State: state, Approvers: []string{"oidc:bob"}} })
			if (err == nil) != (state == Approved) {
				t.Fatal(err)
			}
			if err == nil {
				permit.Done(record.Result{Outcome: "Succeeded"})
			}
			want := &record.Would{Effect: policy.Deny, Rules: []policy.RuleRef{strict}}
			if diff := cmp.Diff(want, w.last(record.OperationDecided).Decision.Audit); diff != "" {
				t.Errorf("%s: -want +got:\n%s", state, diff)
			}
		}
		if diff := cmp.Diff(map[string]AuditCount{"strict": {Deny: 2}}, w.counts()); diff != "" {
			t.Errorf("counts: -want +got:\n%s", diff)
		}
	})
}

// TestAuditSession: a session that would have been let in says so.
func TestAuditSession(t *testing.T) {
	w := newWorld(t, allowing)
	refused := auditRules{}
	refused.connect = policy.Decision{Effect: policy.Deny, Audit: &policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{strict}}}
	w.auditing(refused)
	if _, err := w.authenticate().Authorize(t.Context()); reason(err) != ReasonNotAllowed {
		t.Fatal(err)
	}
	want := &record.Would{Effect: policy.Allow, Rules: []policy.RuleRef{strict}}
	if diff := cmp.Diff(want, w.last(record.SessionRefused).Decision.Audit); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	lost := auditRules{rules: allowing}
	lost.connect.Audit = &policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{floor}}
	w.auditing(lost)
	w.authorize().Close("")
	if audit := w.last(record.SessionStart).Decision.Audit; audit == nil || audit.Effect != policy.Deny {
		t.Errorf("the start of the session does not say that it would have been refused: %+v", audit)
	}
	if diff := cmp.Diff(map[string]AuditCount{"strict": {Allow: 1}, "floor": {Deny: 1}}, w.counts()); diff != "" {
		t.Errorf("counts: -want +got:\n%s", diff)
	}
}

// TestAuditCountsFollowPolicies: counts go on under a new snapshot, and begin anew with
// a new generation.
func TestAuditCountsFollowPolicies(t *testing.T) {
	w := newWorld(t, allowing)
	engine := audited(policy.Allow, policy.Deny, strict, floor)
	w.auditing(engine)
	g := w.authorize()
	defer g.Close("")
	w.permit(g).Done(record.Result{Outcome: "Succeeded"})
	w.auditing(engine)
	w.permit(g).Done(record.Result{Outcome: "Succeeded"})
	if diff := cmp.Diff(map[string]AuditCount{"strict": {Deny: 2}, "floor": {Deny: 2}}, w.counts()); diff != "" {
		t.Errorf("counts: -want +got:\n%s", diff)
	}
	// strict is edited, floor is enforced.
	if err := w.tryEngine(engine, func(s *snapshot.Snapshot) {
		s.Policies.Policies = append(s.Policies.Policies[:1:1],
			policy.Policy{Name: strict.Policy, UID: strict.UID, Generation: strict.Generation + 1, Audit: true})
	}); err != nil {
		t.Fatal(err)
	}
	w.permit(g).Done(record.Result{Outcome: "Succeeded"})
	want := []AuditCount{{Policy: "strict", UID: "p-8", Generation: 4, Deny: 1}}
	if diff := cmp.Diff(want, w.gate.Audits()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	w.apply(allowing)
	if got := w.gate.Audits(); len(got) != 0 {
		t.Errorf("counts of policies that are no longer in mode Audit: %+v", got)
	}
}

// TestAuditCostsNothingElse: a session of whom no policy in mode Audit is allocates what
// it did.
func TestAuditCostsNothingElse(t *testing.T) {
	v := &view{}
	ask, allowed := statement(), decision(policy.Allow)
	if n := testing.AllocsPerRun(100, func() {
		if v.wouldBe(&ask, &allowed) != nil {
			t.Fatal("something would be")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCacheStats: what the engine counts is not forgotten with its snapshot.
func TestCacheStats(t *testing.T) {
	w := newWorld(t, allowing)
	if hits, misses := w.gate.CacheStats(); hits != 0 || misses != 0 {
		t.Errorf("an engine that does not tell: %d, %d", hits, misses)
	}
	for range 3 {
		if err := w.tryEngine(counting{auditRules{rules: allowing}}); err != nil {
			t.Fatal(err)
		}
	}
	if hits, misses := w.gate.CacheStats(); hits != 30 || misses != 6 {
		t.Errorf("CacheStats = %d, %d, want 30 and 6", hits, misses)
	}
}

// counting is an engine that tells of its cache.
type counting struct{ auditRules }

func (counting) CacheStats() (hits, misses uint64) { return 10, 2 }

// TestNamesOfClusterPolicies: whoever is refused finds the policy.
func TestNamesOfClusterPolicies(t *testing.T) {
	capped := allowing
	capped.decide = policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{{Cluster: true, Policy: "cap", UID: "p-7", Generation: 2, Rule: "no-drop"}}}
	w := newWorld(t, capped)
	g := w.authorize()
	defer g.Close("")
	_, err := g.Decide(t.Context(), statement())
	refusal := AsRefusal(err)
	if !strings.Contains(refusal.Hint, "kubectl get clusteraccesspolicy cap -o yaml") {
		t.Errorf("hint: %s", refusal.Hint)
	}
	if want := `Decided by rule "no-drop" of ClusterAccessPolicy "cap" (generation 2).`; refusal.Detail() != want {
		t.Errorf("Detail = %s, want %s", refusal.Detail(), want)
	}
	limit := policy.Limits{RowsPerStatement: 1, ConcurrentSessions: 1}
	bounded := limited(limit)
	bounded.limits[0].Policy = policy.RuleRef{Cluster: true, Policy: "cap", UID: "p-7"}
	w.apply(bounded)
	permit := w.permit(g)
	if err := permit.Meter().Take(2, 0); err == nil || !strings.Contains(err.Error(), `ClusterAccessPolicy "cap"`) {
		t.Errorf("a limit: %v", err)
	}
	permit.Done(record.Result{Outcome: "Succeeded", Duration: time.Second})
}

// TestShadowOfOneName: whoever writes AccessPolicies cannot hide what a ClusterAccessPolicy
// in mode Audit would mask, by giving a mask of their own the same names.
func TestShadowOfOneName(t *testing.T) {
	decoy, audited := cards, cards
	decoy.Fields = []string{"nothing"}
	if s := newShadow([]policy.Mask{decoy, audited}, []policy.Mask{decoy}, mask.Key{}); len(s.more) != 1 || s.more[0].Fields[0] != "card" {
		t.Errorf("got %+v, want the audited mask", s.more)
	}
	if s := newShadow([]policy.Mask{decoy, decoy}, []policy.Mask{decoy}, mask.Key{}); len(s.more) != 0 {
		t.Errorf("got %+v, want none: it is in force", s.more)
	}
}
