// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// maxAhead is how long after it was made a request may begin.
const maxAhead = 7 * 24 * time.Hour

// evaluateSession judges a request of scope Session that is not over. It is bound to the
// world as it is when it is first looked at; approvers decide on the digest of that. An
// approved one is judged again and again until its time is over.
func evaluateSession(f Facts) Result {
	r := f.Request
	result := Result{
		Phase: v1alpha1.ApprovalPending, Reason: v1alpha1.ReasonPending,
		Decisions: slices.Clone(r.Status.Decisions), Session: r.Status.Session.DeepCopy(),
		Minimum: r.Status.MinimumApprovals, End: r.Status.ExpiresAt.Time, BreakGlass: r.Status.BreakGlass != nil,
	}
	if result.disbelieve(f) || result.exceeds(f) {
		return result
	}
	if revoke := r.Spec.Revoke; revoke != nil {
		result.Approvals = r.Status.Approvals
		result.end(v1alpha1.ApprovalRevoked, v1alpha1.ReasonRevoked, fmt.Sprintf("revoked by %s: %s", revoke.Username, revoke.Reason))
		return result
	}
	binding, rules, phase, err := f.requested()
	if err != nil {
		reason := v1alpha1.ReasonTermsMismatch
		if phase == v1alpha1.ApprovalStale {
			reason = v1alpha1.ReasonStale
		}
		result.end(phase, reason, err.Error())
		return result
	}
	if result.Session == nil {
		result.Session = &v1alpha1.SessionApproval{
			Digest: digestOf(r, binding, rules), Binding: *binding, Approvers: approversOf(rules), Rules: askedRules(r, rules), Claimed: claimed(r),
		}
	}
	if result.Session.Digest != digestOf(r, binding, rules) {
		result.end(v1alpha1.ApprovalStale, v1alpha1.ReasonStale, "the connection or a policy changed since the request was accepted: ask again")
		return result
	}
	if r.Spec.Session.BreakGlass == v1alpha1.BreakGlassDeclared {
		result.breakGlass(f, rules)
		return result
	}
	result.Minimum, result.End = minimumOf(rules), sessionEnd(r, rules)
	if result.expire(f) {
		return result
	}
	result.decide(f, rules, result.Minimum)
	if result.Phase == v1alpha1.ApprovalApproved {
		result.settle(f, rules)
	}
	return result
}

// expire ends a request whose time is over.
func (r *Result) expire(f Facts) bool {
	if f.Now.Before(r.End) {
		return false
	}
	message := "not approved before " + r.End.UTC().Format(time.RFC3339)
	if !r.Session.ExpiresAt.IsZero() {
		message = "its time was over at " + r.End.UTC().Format(time.RFC3339)
	}
	r.end(v1alpha1.ApprovalExpired, v1alpha1.ReasonExpired, message)
	return true
}

// settle ends an approval whose approvers lost the right to give it, and dates one when it
// is given, once.
func (r *Result) settle(f Facts, rules []v1alpha1.Rule) {
	still := Result{Phase: v1alpha1.ApprovalPending, Decisions: slices.DeleteFunc(slices.Clone(r.Decisions), func(d v1alpha1.DecisionStatus) bool {
		return !f.Entitled[int(d.Index)]
	})}
	still.count(f.Request, rules, r.Minimum)
	if still.Phase != v1alpha1.ApprovalApproved {
		r.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonNotEntitled, "an approver does not hold the verb approve on the Connection any more")
		return
	}
	r.date(f)
}

// date says from when until when an approval holds, once.
func (r *Result) date(f Facts) {
	if !r.Session.ExpiresAt.IsZero() {
		return
	}
	start := f.Now.UTC().Truncate(time.Second)
	if asked := f.Request.Spec.Session.NotBefore.Time; asked.After(start) {
		start = asked
	}
	r.End = start.Add(time.Duration(f.Request.Spec.Session.DurationSeconds) * time.Second)
	r.Session.StartsAt, r.Session.ExpiresAt = metav1.NewTime(start), metav1.NewTime(r.End)
}

// requested finds the rules that are asked for, and the binding to them. The phase is that
// of a request with an error: Void where it never could be approved, Stale where it could.
func (f Facts) requested() (*v1alpha1.Binding, []v1alpha1.Rule, v1alpha1.ApprovalPhase, error) {
	phase := v1alpha1.ApprovalVoid
	if f.Request.Status.Session != nil {
		phase = v1alpha1.ApprovalStale
	}
	asked := &f.Request.Spec.Session
	if f.Connection == nil {
		return nil, nil, phase, fmt.Errorf("connection %q does not exist: see kubectl -n %s get connections", f.Request.Spec.ConnectionRef.Name, f.Request.Namespace)
	}
	binding := &v1alpha1.Binding{ConnectionUID: string(f.Connection.UID), ConnectionGeneration: f.Connection.Generation}
	var rules []v1alpha1.Rule
	for _, wanted := range asked.Rules {
		policy, found := f.policyNamed(wanted.Kind, wanted.Policy)
		switch {
		case !found:
			return nil, nil, phase, fmt.Errorf("%s %q does not exist", wanted.Kind, wanted.Policy)
		case policy.Elsewhere:
			return nil, nil, phase, fmt.Errorf("%s %q is not about connection %q", wanted.Kind, wanted.Policy, f.Connection.Name)
		case policy.Audit:
			return nil, nil, phase, fmt.Errorf("%s %q is in mode Audit: what it asks approval for needs none", wanted.Kind, wanted.Policy)
		}
		rule := policy.asks(wanted.Rule, v1alpha1.ApprovalScopeSession)
		if rule == nil && asked.BreakGlass == v1alpha1.BreakGlassDeclared {
			rule = policy.asks(wanted.Rule, v1alpha1.ApprovalScopeOperation)
		}
		if rule == nil {
			return nil, nil, phase, fmt.Errorf("%s %q has no rule %q that asks for an approval of scope Session", wanted.Kind, wanted.Policy, wanted.Rule)
		}
		if err := f.mayBreakGlass(rule, wanted); err != nil {
			return nil, nil, phase, err
		}
		if most := longest(asked, rule); asked.DurationSeconds > most {
			return nil, nil, phase, fmt.Errorf("%d seconds are asked for, rule %q of %s %q allows at most %d: ask for less", asked.DurationSeconds, wanted.Rule, wanted.Kind, wanted.Policy, most)
		}
		rules = append(rules, *rule)
		binding.Policies = append(binding.Policies, v1alpha1.BoundRule{Name: policy.Name, UID: policy.UID, Generation: policy.Generation, Rule: rule.Name})
	}
	if len(rules) == 0 {
		return nil, nil, phase, fmt.Errorf("the request asks for no rule")
	}
	if asked.NotBefore.After(f.Request.CreationTimestamp.Add(maxAhead)) {
		return nil, nil, phase, fmt.Errorf("notBefore is more than %d days after the request was made: ask later", int(maxAhead.Hours()/24))
	}
	return binding, rules, phase, nil
}

func (f Facts) policyNamed(kind v1alpha1.PolicyKind, name string) (Policy, bool) {
	for _, p := range f.Policies {
		if p.Kind == kind && p.Name == name {
			return p, true
		}
	}
	return Policy{}, false
}

// sessionEnd is when the request ends: its approval, or where it has none, the wait for it.
func sessionEnd(r *v1alpha1.ApprovalRequest, rules []v1alpha1.Rule) time.Time {
	if s := r.Status.Session; s != nil && !s.ExpiresAt.IsZero() {
		return s.ExpiresAt.Time
	}
	var wait int32
	for i := range rules {
		if seconds := rules[i].Approval.TimeoutSeconds; wait == 0 || seconds < wait {
			wait = seconds
		}
	}
	return r.CreationTimestamp.Add(time.Duration(wait) * time.Second)
}

func minimumOf(rules []v1alpha1.Rule) int32 {
	var minimum int32
	for i := range rules {
		minimum = max(minimum, rules[i].Approval.Minimum)
	}
	return minimum
}

// approversOf are all that the rules name, each once.
func approversOf(rules []v1alpha1.Rule) []v1alpha1.Approver {
	var all []v1alpha1.Approver
	for i := range rules {
		for _, approver := range rules[i].Approval.Approvers {
			if !slices.Contains(all, approver) {
				all = append(all, approver)
			}
		}
	}
	return all
}

// digestOf names exactly this request by this requester under this binding: each part is
// preceded by its length, each list by its number, so that no two have a form in common.
func digestOf(r *v1alpha1.ApprovalRequest, binding *v1alpha1.Binding, rules []v1alpha1.Rule) string {
	var all []byte
	add := func(parts ...string) {
		for _, part := range parts {
			all = append(binary.BigEndian.AppendUint64(all, uint64(len(part))), part...)
		}
	}
	list := func(parts []string) {
		add(strconv.Itoa(len(parts)))
		add(parts...)
	}
	who, asked := &r.Spec.Requester, &r.Spec.Session
	notBefore := ""
	if !asked.NotBefore.IsZero() {
		notBefore = asked.NotBefore.UTC().Format(time.RFC3339)
	}
	add("doorward.dev/session/v2", string(r.UID), who.Username, who.Issuer, who.Subject,
		binding.ConnectionUID, strconv.FormatInt(binding.ConnectionGeneration, 10),
		asked.Reason, strconv.Itoa(int(asked.DurationSeconds)), notBefore, string(asked.BreakGlass), strconv.Itoa(len(asked.Rules)))
	for i, bound := range binding.Policies {
		add(string(asked.Rules[i].Kind), bound.Name, bound.UID, strconv.FormatInt(bound.Generation, 10), bound.Rule)
		list(asked.Rules[i].Actions)
		list(asked.Rules[i].Resources)
		list(rules[i].Actions)
		list(rules[i].Resources)
		list(rules[i].Properties)
	}
	sum := sha256.Sum256(all)
	return "sha256:" + hex.EncodeToString(sum[:])
}
