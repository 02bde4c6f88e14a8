// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Facts is everything that the phase of a request depends on.
type Facts struct {
	Request *v1alpha1.ApprovalRequest
	// Connection and Policies, by UID, are the live objects; nil and absent where gone.
	Connection *v1alpha1.Connection
	Policies   map[string]Policy
	// Session is the AuditSession that holds the operation; nil where it is not
	// (yet) there.
	Session *v1alpha1.AuditSession
	// NotBelieved says why the request and what is in it may be forged; nil where
	// it is believed.
	NotBelieved error
	// Entitled says, by index of the decision, that the authorizer grants the
	// stamped user the verb approve on the Connection.
	Entitled map[int]bool
	// Waiting is how many other requests of the same requester wait for decisions, or will
	// before this one does; Kept is how many elder ones there are in all; only where the
	// request was not judged yet.
	Waiting, Kept int
	// Unreviewed is how many others of the same requester went ahead without approvals,
	// or are about to, and are not reviewed; only where this one is to go ahead so.
	Unreviewed int
	Now        time.Time
}

// Policy is what an approval depends on of an AccessPolicy or a ClusterAccessPolicy.
type Policy struct {
	// Kind, Name and UID are needed for requests of scope Session.
	Kind v1alpha1.PolicyKind
	Name string
	UID  string
	// Audit says that the policy decides nothing, Elsewhere that it is not about the
	// Connection.
	Audit, Elsewhere bool
	Generation       int64
	Rules            []v1alpha1.Rule
	// Module says that a module of Rego stands in the place of the rules. What terms it
	// set only the proxy knows, which asked it: the request is taken at its word.
	Module bool
}

// rule finds a rule that asks for approval; nil where there is none of that name.
func (p Policy) rule(name string, request *v1alpha1.ApprovalRequest) *v1alpha1.Rule {
	if p.Module {
		return &v1alpha1.Rule{Name: name, Effect: v1alpha1.EffectRequireApproval, Approval: &v1alpha1.ApprovalTerms{
			Approvers: request.Spec.Approvers, Minimum: request.Spec.MinimumApprovals,
		}}
	}
	return p.asks(name, v1alpha1.ApprovalScopeOperation)
}

// asks finds a rule that asks for approval of a scope; nil where there is none of that name.
func (p Policy) asks(name string, scope v1alpha1.ApprovalScope) *v1alpha1.Rule {
	i := slices.IndexFunc(p.Rules, func(r v1alpha1.Rule) bool { return r.Name == name })
	if i < 0 || p.Rules[i].Approval == nil || cmp.Or(p.Rules[i].Approval.Scope, v1alpha1.ApprovalScopeOperation) != scope {
		return nil
	}
	return &p.Rules[i]
}

// Result is what the facts come to.
type Result struct {
	Phase     v1alpha1.ApprovalPhase
	Reason    string
	Message   string
	Approvals int32
	Decisions []v1alpha1.DecisionStatus
	// Session is what a request of that scope asks for; nil where that was not found.
	Session *v1alpha1.SessionApproval
	// Minimum and End are the approvals that such a request needs, and when it ends;
	// zero where that is not known (any more).
	Minimum int32
	End     time.Time
	// BreakGlass says that the request went ahead without approvals.
	BreakGlass bool
}

// over says whether a phase is final.
func over(phase v1alpha1.ApprovalPhase) bool {
	switch phase {
	case v1alpha1.ApprovalDenied, v1alpha1.ApprovalExpired, v1alpha1.ApprovalStale, v1alpha1.ApprovalUsed, v1alpha1.ApprovalVoid,
		v1alpha1.ApprovalRevoked:
		return true
	case v1alpha1.ApprovalPending, v1alpha1.ApprovalApproved:
		return false
	default: // not judged yet
		return false
	}
}

// Evaluate judges a request that is not over. What was said of a decision before
// stays said.
func Evaluate(f Facts) Result {
	r := f.Request
	if r.Spec.Scope == v1alpha1.ApprovalScopeSession {
		return evaluateSession(f)
	}
	result := Result{Phase: v1alpha1.ApprovalPending, Reason: v1alpha1.ReasonPending, Decisions: slices.Clone(r.Status.Decisions)}
	if r.Spec.Use != nil && r.Status.Phase == v1alpha1.ApprovalApproved {
		// Admission lets use be set only while the request is Approved.
		result.Approvals = r.Status.Approvals
		result.end(v1alpha1.ApprovalUsed, v1alpha1.ReasonUsed, fmt.Sprintf("used by proxy %q", r.Spec.Use.ProxyInstance))
		return result
	}
	if result.disbelieve(f) || result.exceeds(f) {
		return result
	}
	if r.Spec.Use != nil {
		result.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonAdmissionNotEnforced, "spec.use was set though the request was not approved")
		return result
	}
	rules, reason, err := boundRules(f)
	if err != nil {
		phase := v1alpha1.ApprovalStale
		if reason == v1alpha1.ReasonTermsMismatch {
			phase = v1alpha1.ApprovalVoid
		}
		result.end(phase, reason, err.Error())
		return result
	}
	if s := f.Session; s != nil && (s.Status.Phase == v1alpha1.SessionEnded || s.Status.Phase == v1alpha1.SessionLost) {
		result.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonHolderGone, "the session that holds the operation is over")
		return result
	}
	if !f.Now.Before(r.Spec.ExpiresAt.Time) {
		result.end(v1alpha1.ApprovalExpired, v1alpha1.ReasonExpired, "not used before "+r.Spec.ExpiresAt.UTC().Format(time.RFC3339))
		return result
	}
	result.decide(f, rules, r.Spec.MinimumApprovals)
	return result
}

// disbelieve ends a request that may be forged.
func (r *Result) disbelieve(f Facts) bool {
	if f.NotBelieved == nil {
		return false
	}
	for i := len(r.Decisions); i < len(f.Request.Spec.Decisions); i++ {
		r.judge(i, v1alpha1.DecisionVoid, v1alpha1.ReasonAdmissionNotEnforced, f.NotBelieved.Error())
	}
	r.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonAdmissionNotEnforced, f.NotBelieved.Error()+"; ask again once it is")
	return true
}

// maxWaiting is how many requests of one requester wait for decisions in a namespace, of
// both scopes together; what goes ahead without approvals waits for none, and may be one
// more. maxKept is how many there are at all, whatever came of them.
const (
	maxWaiting = 20
	maxKept    = 500
)

// exceeds ends a request that is one too many.
func (r *Result) exceeds(f Facts) bool {
	switch {
	case f.Request.Status.Phase != "":
		return false
	case f.Kept >= maxKept:
		r.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonQuotaExceeded, fmt.Sprintf("there are %d requests of the same requester already, at most %d may be: wait until some are deleted", f.Kept, maxKept))
	case f.Waiting >= maxWaiting && f.Request.Spec.Session.BreakGlass != v1alpha1.BreakGlassDeclared:
		r.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonQuotaExceeded, fmt.Sprintf("%d requests of the same requester wait for decisions already, at most %d may: wait for those", f.Waiting, maxWaiting))
	default:
		return false
	}
	return true
}

// endsAnyhow is what a request comes to whatever its new decisions say and whether or not
// they can be believed; false where that matters. What ends needs no proof: nobody gains
// anything by it, and a proof costs several requests to the API server.
func endsAnyhow(f Facts) (Result, bool) {
	r := f.Request
	if r.Status.Phase == v1alpha1.ApprovalApproved && r.Spec.Revoke == nil && r.Spec.Use == nil {
		return Result{}, false
	}
	f.Request = r.DeepCopy()
	f.Request.Spec.Decisions = f.Request.Spec.Decisions[:min(len(r.Spec.Decisions), len(r.Status.Decisions))]
	result := Evaluate(f)
	return result, over(result.Phase)
}

// decide judges the decisions that are new, and counts all.
func (r *Result) decide(f Facts, rules []v1alpha1.Rule, minimum int32) {
	for i := len(r.Decisions); i < len(f.Request.Spec.Decisions); i++ {
		state, reason, message := judgeDecision(f, rules, r.Decisions, i)
		r.judge(i, state, reason, message)
	}
	r.count(f.Request, rules, minimum)
}

func (r *Result) judge(index int, state v1alpha1.DecisionState, reason, message string) {
	r.Decisions = append(r.Decisions, v1alpha1.DecisionStatus{Index: int32(index), State: state, Reason: reason, Message: message}) //nolint:gosec // at most 32 decisions
}

func (r *Result) end(phase v1alpha1.ApprovalPhase, reason, message string) {
	r.Phase, r.Reason, r.Message = phase, reason, message
}

// boundRules returns the rules that the request is bound to, as they are now.
func boundRules(f Facts) ([]v1alpha1.Rule, string, error) {
	binding := f.Request.Spec.Binding
	c := f.Connection
	switch {
	case c == nil:
		return nil, v1alpha1.ReasonStale, fmt.Errorf("connection %q is gone", f.Request.Spec.ConnectionRef.Name)
	case string(c.UID) != binding.ConnectionUID || c.Generation != binding.ConnectionGeneration:
		return nil, v1alpha1.ReasonStale, fmt.Errorf("connection %q changed since the operation was held: try the operation again", c.Name)
	}
	var rules []v1alpha1.Rule
	for _, bound := range binding.Policies {
		policy, found := f.Policies[bound.UID]
		if !found || policy.Generation != bound.Generation {
			return nil, v1alpha1.ReasonStale, fmt.Errorf("policy %q changed since the operation was held: try the operation again", bound.Name)
		}
		rule := policy.rule(bound.Rule, f.Request)
		if rule == nil {
			return nil, v1alpha1.ReasonTermsMismatch, fmt.Errorf("rule %q of policy %q asks for no approval", bound.Rule, bound.Name)
		}
		rules = append(rules, *rule)
	}
	return rules, v1alpha1.ReasonTermsMismatch, checkTerms(f.Request, rules)
}

// checkTerms holds what the request says of its terms, which approvers read,
// against the rules.
func checkTerms(r *v1alpha1.ApprovalRequest, rules []v1alpha1.Rule) error {
	var minimum int32
	var named []v1alpha1.Approver
	for _, rule := range rules {
		minimum = max(minimum, rule.Approval.Minimum)
		named = append(named, rule.Approval.Approvers...)
	}
	if len(rules) == 0 || minimum < 1 {
		return fmt.Errorf("the request is bound to no rule")
	}
	if r.Spec.MinimumApprovals < minimum {
		return fmt.Errorf("the request asks for %d approvals, its rules for %d", r.Spec.MinimumApprovals, minimum)
	}
	for _, approver := range r.Spec.Approvers {
		if !slices.Contains(named, approver) {
			return fmt.Errorf("the request names approver %q, its rules do not", approver.Name)
		}
	}
	return nil
}

// judgeDecision says whether decision i counts. before are the verdicts on those
// that precede it.
func judgeDecision(f Facts, rules []v1alpha1.Rule, before []v1alpha1.DecisionStatus, i int) (v1alpha1.DecisionState, string, string) {
	r := f.Request
	decision := r.Spec.Decisions[i]
	approver := decision.Approver
	void := func(reason, message string) (v1alpha1.DecisionState, string, string) {
		return v1alpha1.DecisionVoid, reason, message
	}
	switch {
	case approver == nil || approver.Username == "":
		return void(v1alpha1.ReasonNotStamped, "the decision names no approver")
	case decision.OperationDigest != r.DecidedDigest():
		return void(v1alpha1.ReasonDigestMismatch, "the decision is for something else")
	case approver.Username == r.Spec.Requester.Username:
		return void(v1alpha1.ReasonSelfApproval, "requester and approver are the same")
	case !slices.ContainsFunc(rules, func(rule v1alpha1.Rule) bool { return entitles(rule, approver) }):
		return void(v1alpha1.ReasonNotEntitled, "no rule names the approver")
	case !f.Entitled[i]:
		return void(v1alpha1.ReasonNotEntitled, "the approver does not hold the verb approve on the Connection")
	}
	for _, earlier := range before {
		if earlier.State != v1alpha1.DecisionCounted {
			continue
		}
		other := r.Spec.Decisions[earlier.Index]
		if other.Verdict == v1alpha1.VerdictDeny {
			return void(v1alpha1.ReasonTooLate, "the request was denied before")
		}
		if other.Approver.Username == approver.Username && other.Verdict == decision.Verdict {
			return void(v1alpha1.ReasonRepeated, "the same approver decided before")
		}
	}
	return v1alpha1.DecisionCounted, v1alpha1.ReasonCounted, ""
}

// entitles says whether a rule names the approver. A system user counts only
// where it is named in full.
func entitles(rule v1alpha1.Rule, approver *v1alpha1.DecisionApprover) bool {
	return slices.ContainsFunc(rule.Approval.Approvers, func(a v1alpha1.Approver) bool {
		if a.Kind == v1alpha1.ApproverUser {
			return a.Name == approver.Username
		}
		return a.Kind == v1alpha1.ApproverGroup && !strings.HasPrefix(approver.Username, "system:") && slices.Contains(approver.Groups, a.Name)
	})
}

// count says what the decisions that count come to: one denial ends the request;
// the terms of each rule must be met by different user names.
func (r *Result) count(request *v1alpha1.ApprovalRequest, rules []v1alpha1.Rule, minimum int32) {
	approvers := map[string]*v1alpha1.DecisionApprover{}
	for _, status := range r.Decisions {
		if status.State != v1alpha1.DecisionCounted {
			continue
		}
		decision := request.Spec.Decisions[status.Index]
		if decision.Verdict == v1alpha1.VerdictDeny {
			r.end(v1alpha1.ApprovalDenied, v1alpha1.ReasonDenied, fmt.Sprintf("denied by %s", decision.Approver.Username))
			return
		}
		approvers[decision.Approver.Username] = decision.Approver
	}
	r.Approvals = int32(len(approvers)) //nolint:gosec // at most 32 decisions
	if r.Approvals < minimum {
		r.Message = fmt.Sprintf("%d of %d approvals", r.Approvals, minimum)
		return
	}
	for _, rule := range rules {
		var met int32
		for _, approver := range approvers {
			if entitles(rule, approver) {
				met++
			}
		}
		if met < rule.Approval.Minimum {
			r.Message = fmt.Sprintf("rule %q has %d of %d approvals", rule.Name, met, rule.Approval.Minimum)
			return
		}
	}
	r.end(v1alpha1.ApprovalApproved, v1alpha1.ReasonApproved, "")
}
