// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// SessionApproval is an approval of scope Session: what its rules match runs for its
// requester without being held, from From until Until. Immutable.
type SessionApproval struct {
	// Name and UID are the ApprovalRequest's.
	Name, UID string
	// Requester is the Kubernetes user who made the request; Issuer and Subject, where
	// not empty, are those that the caller must have besides.
	Requester, Issuer, Subject string
	// ConnectionUID and ConnectionGeneration are of the Connection that it is bound to.
	ConnectionUID        string
	ConnectionGeneration int64
	Rules                []ApprovedRule
	Approvers            []string
	From, Until          time.Time
	// BreakGlass says that nobody gave it: its requester goes ahead without approvals,
	// also where its rules would hold each operation. ReasonDigest is that of the reason.
	BreakGlass   bool
	ReasonDigest string
}

// ApprovedRule is a rule that an approval is for, or the part of it that globs leave.
type ApprovedRule struct {
	// PolicyUID, Generation and Rule say which.
	PolicyUID  string
	Generation int64
	Rule       string
	// Actions and Resources narrow it; empty for all.
	Actions, Resources []string
}

// ErrApprovalEnded says that an approval ended that the session rests on, and how.
var ErrApprovalEnded = errors.New("an approval that the session rests on ended")

// errApprovalsUnknown is the end of sessions where nobody can tell whether their approvals
// still hold.
var errApprovalsUnknown = fmt.Errorf("%w: the proxy could not watch its ApprovalRequests for longer than spec.proxy.maxStalenessSeconds", ErrApprovalEnded)

// sessionApprovals are those of one gate.
type sessionApprovals struct {
	mu sync.Mutex
	// held are by UID. A gone one never comes back, also where the object is restored;
	// its UID is kept until it would have ended by itself.
	held map[string]*SessionApproval
	gone map[string]time.Time
	// since is when the watch was lost; zero while it is not.
	since  time.Time
	timer  *time.Timer
	closed bool
}

func newSessionApprovals() *sessionApprovals {
	return &sessionApprovals{held: map[string]*SessionApproval{}, gone: map[string]time.Time{}, since: time.Now()}
}

// Approve takes an approval of scope Session. One that has ended is not taken again.
func (g *Gate) Approve(a *SessionApproval) {
	s := g.approved
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.gone[a.UID]; !gone {
		s.held[a.UID] = a
	}
}

// Disapprove ends an approval of scope Session and every live session that rests on it.
// The cause is for callers and the record.
func (g *Gate) Disapprove(uid, cause string) {
	s := g.approved
	s.mu.Lock()
	a := s.held[uid]
	if a == nil {
		s.mu.Unlock()
		return
	}
	delete(s.held, uid)
	now := time.Now()
	for other, until := range s.gone {
		if now.After(until) {
			delete(s.gone, other)
		}
	}
	s.gone[uid] = a.Until
	s.mu.Unlock()
	g.endResting(func(other *SessionApproval) bool { return other.UID == uid }, fmt.Errorf("%w: ApprovalRequest %q %s", ErrApprovalEnded, a.Name, cause))
}

// Approvals are the names and UIDs of all approvals of scope Session, by UID.
func (g *Gate) Approvals() map[string]string {
	s := g.approved
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]string, len(s.held))
	for uid, a := range s.held {
		names[uid] = a.Name
	}
	return names
}

// FollowsApprovals says whether the watch of approvals is up. While it is not, those that
// are known hold for as long as a snapshot without proof of freshness.
func (g *Gate) FollowsApprovals(follows bool) {
	bound := g.approvalBound()
	s := g.approved
	s.mu.Lock()
	defer s.mu.Unlock()
	if follows {
		s.stopTimer()
		s.since = time.Time{}
		return
	}
	if s.since.IsZero() {
		s.since = time.Now()
	}
	g.awaitApprovals(bound)
}

// approvalBound is how long approvals hold while their watch is away.
func (g *Gate) approvalBound() time.Duration {
	if st := g.state.Load(); st != nil {
		return staleness(st.snapshot.MaxStalenessSeconds)
	}
	return defaultStaleness
}

// awaitApprovals ends what rests on approvals when their watch has been away for too long.
// The lock of the approvals is held.
func (g *Gate) awaitApprovals(bound time.Duration) {
	s := g.approved
	s.stopTimer()
	if s.closed {
		return
	}
	s.timer = time.AfterFunc(time.Until(s.since.Add(bound)), func() {
		if g.unfollowed(time.Now()) {
			g.endResting(func(*SessionApproval) bool { return true }, errApprovalsUnknown)
		}
	})
}

// reboundApprovals has a new bound of staleness hold for a watch that is lost already. It
// says nothing of whether the watch is up, which may come back at the same moment.
func (g *Gate) reboundApprovals() {
	bound := g.approvalBound()
	s := g.approved
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		g.awaitApprovals(bound)
	}
}

// unfollowed says that the watch has been away for too long, by either clock.
func (g *Gate) unfollowed(now time.Time) bool {
	bound := g.approvalBound()
	s := g.approved
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return false
	}
	until := s.since.Add(bound)
	return !now.Before(until) || !now.Round(0).Before(until.Round(0))
}

// stop ends what the approvals wait for.
func (s *sessionApprovals) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.stopTimer()
}

func (s *sessionApprovals) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// of are the approvals that a caller has now, those that last longest first.
func (s *sessionApprovals) of(who *identity.Principal, now time.Time) []*SessionApproval {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []*SessionApproval
	for _, a := range s.held {
		if a.belongsTo(who) && a.runs(now) {
			own = append(own, a)
		}
	}
	slices.SortFunc(own, func(a, b *SessionApproval) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.UID, b.UID))
	})
	return own
}

// has says that an approval still holds.
func (s *sessionApprovals) has(a *SessionApproval, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[a.UID] != nil && a.runs(now)
}

func (a *SessionApproval) runs(now time.Time) bool {
	return !now.Before(a.From) && now.Before(a.Until) && now.Round(0).Before(a.Until)
}

// belongsTo says whether the caller is the requester. The name is the API server's for
// both. Whoever acts for a person is not that person, who asked for herself.
func (a *SessionApproval) belongsTo(who *identity.Principal) bool {
	return who.KubernetesUser != "" && a.Requester == who.KubernetesUser && inPerson(who) &&
		(a.Issuer == "" || a.Issuer == who.Issuer) && (a.Subject == "" || a.Subject == who.Subject)
}

// inPerson says that a caller is a person and acts for nobody else: an agent has its
// person's name where its issuer says no more than which kind it is of.
func inPerson(who *identity.Principal) bool {
	return who.Kind == identity.Human && len(who.Delegation) == 0
}

// bound says whether the approval is for the Connection and the policies of a snapshot.
func (a *SessionApproval) bound(s *snapshot.Snapshot) bool {
	if a.ConnectionUID != s.Connection.UID || a.ConnectionGeneration != s.Connection.Generation {
		return false
	}
	return !slices.ContainsFunc(a.Rules, func(r ApprovedRule) bool {
		rule := s.Policies.Rule(policy.RuleRef{UID: r.PolicyUID, Generation: r.Generation, Rule: r.Rule})
		if rule == nil || rule.Approval == nil {
			return true
		}
		if a.BreakGlass {
			// The rule says now that it lets people, and for how long.
			terms := rule.Approval.BreakGlass
			return terms == nil || a.Until.Sub(a.From) > time.Duration(terms.MaxDurationSeconds)*time.Second
		}
		return rule.Approval.Scope != policy.ScopeSession
	})
}

// covers says whether the approval is for all of an operation that a rule is about.
func (a *SessionApproval) covers(set *policy.Set, ref policy.RuleRef, op *policy.Operation) bool {
	i := slices.IndexFunc(a.Rules, func(r ApprovedRule) bool {
		return r.PolicyUID == ref.UID && r.Generation == ref.Generation && r.Rule == ref.Rule
	})
	rule := set.Rule(ref)
	if i < 0 || rule == nil {
		return false
	}
	narrowed := policy.Rule{Actions: a.Rules[i].Actions, Resources: a.Rules[i].Resources}
	if len(narrowed.Actions) == 0 {
		narrowed.Actions = rule.Actions
	}
	return !slices.ContainsFunc(op.Accesses, func(access policy.Access) bool {
		return rule.Matches(access) && !narrowed.Matches(access)
	})
}

// recorded is the approval as the record of an operation names it.
func (a *SessionApproval) recorded() record.Approval {
	return record.Approval{
		Scope: policy.ScopeSession, Request: a.Name, UID: a.UID, Outcome: Approved, Approvers: a.Approvers,
		BreakGlass: a.BreakGlass, ReasonDigest: a.ReasonDigest,
	}
}

// withSessions adds what an operation rests on to what it waited for, if it did.
func withSessions(waited *record.Approval, rests []*SessionApproval) *record.Approval {
	for _, a := range rests {
		also := a.recorded()
		if waited == nil {
			waited = &also
		} else {
			waited.Also = append(waited.Also, also)
		}
	}
	return waited
}
