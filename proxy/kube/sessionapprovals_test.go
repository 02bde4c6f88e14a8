// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/access"
)

// approvalGate remembers what it was told.
type approvalGate struct {
	mu      sync.Mutex
	held    map[string]*access.SessionApproval
	ended   map[string]string
	follows bool
}

func newApprovalGate() *approvalGate {
	return &approvalGate{held: map[string]*access.SessionApproval{}, ended: map[string]string{}}
}

func (g *approvalGate) Approve(a *access.SessionApproval) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[a.UID] = a
}

func (g *approvalGate) Disapprove(uid, cause string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, uid)
	g.ended[uid] = cause
}

func (g *approvalGate) Approvals() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := map[string]string{}
	for uid, a := range g.held {
		names[uid] = a.Name
	}
	return names
}

func (g *approvalGate) FollowsApprovals(follows bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.follows = follows
}

func (g *approvalGate) has(uid types.UID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held[string(uid)] != nil
}

func (g *approvalGate) cause(uid types.UID) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended[string(uid)]
}

func (g *approvalGate) following() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.follows
}

// askForSession makes a request as a user does.
func (s *site) askForSession() *v1alpha1.ApprovalRequest {
	s.t.Helper()
	created, err := s.admin.approvalRequests(s.namespace).Create(s.t.Context(), &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: connectionName + "-", Namespace: s.namespace,
			Labels: map[string]string{v1alpha1.LabelConnection: connectionName, v1alpha1.LabelScope: "Session"},
		},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: connectionName}, Scope: v1alpha1.ApprovalScopeSession,
			Requester: v1alpha1.Requester{Username: "oidc:alice"},
			Session: v1alpha1.RequestedSession{Reason: "INC-1", DurationSeconds: 600, Rules: []v1alpha1.RequestedRule{
				{Kind: v1alpha1.KindAccessPolicy, Policy: "shop", Rule: "writes", Resources: []string{"public.*"}},
			}},
			Decisions: []v1alpha1.Decision{},
		},
	}, metav1.CreateOptions{})
	must(s.t, err)
	return created
}

// grantSession approves it as approver and manager do.
func (s *site) grantSession(name string) {
	s.t.Helper()
	s.status(name, fmt.Sprintf(`{"status":{"phase":"Pending","minimumApprovals":1,"session":{"digest":%q,"binding":{"connectionUID":"c-1","connectionGeneration":2,`+
		`"policies":[{"name":"shop","uid":"p-1","generation":3,"rule":"writes"}]},"approvers":[{"kind":"Group","name":"dba"}],`+
		`"startsAt":"2030-01-01T00:00:00Z","expiresAt":"2030-01-01T00:10:00Z"}}}`, digest))
	s.decide(name, v1alpha1.ApprovalApproved, by("oidc:bob", v1alpha1.VerdictApprove))
}

func (s *site) follow(gate *approvalGate) (stop func()) {
	f := &SessionApprovals{Client: s.proxy, Namespace: s.namespace, Name: connectionName, Gate: gate, Log: s.log}
	return run(s.t, f.Run)
}

// TestSessionApprovals: checklist 36, approvals come and go by the proxy's own watch, and a
// revocation needs no manager.
func TestSessionApprovals(t *testing.T) {
	s := newSite(t)
	gate := newApprovalGate()
	s.follow(gate)
	requests := s.admin.approvalRequests(s.namespace)
	ends := map[string]struct {
		how   func(r *v1alpha1.ApprovalRequest)
		cause string
	}{
		"Revoked": {func(r *v1alpha1.ApprovalRequest) {
			_, err := requests.Patch(t.Context(), r.Name, types.MergePatchType, []byte(`{"spec":{"revoke":{"reason":"the work is done","username":"oidc:bob"}}}`), metav1.PatchOptions{})
			must(t, err)
		}, "was revoked by oidc:bob: the work is done"},
		"Deleted": {func(r *v1alpha1.ApprovalRequest) {
			must(t, requests.Delete(t.Context(), r.Name, metav1.DeleteOptions{}))
		}, "was deleted"},
		"Denied": {func(r *v1alpha1.ApprovalRequest) {
			deny, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/decisions/-", "value": by("oidc:carol", v1alpha1.VerdictDeny)}})
			must(t, err)
			_, err = requests.Patch(t.Context(), r.Name, types.JSONPatchType, deny, metav1.PatchOptions{})
			must(t, err)
		}, "was denied by oidc:carol"},
		"Stale":   {func(r *v1alpha1.ApprovalRequest) { s.status(r.Name, `{"status":{"phase":"Stale"}}`) }, "became Stale"},
		"Expired": {func(r *v1alpha1.ApprovalRequest) { s.status(r.Name, `{"status":{"phase":"Expired"}}`) }, "became Expired"},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			r := s.askForSession()
			s.grantSession(r.Name)
			eventually(t, "the approval", func() bool { return gate.has(r.UID) })
			end.how(r)
			eventually(t, "its end", func() bool { return !gate.has(r.UID) && gate.cause(r.UID) != "" })
			if got := gate.cause(r.UID); got != end.cause {
				t.Errorf("cause %q, want %q", got, end.cause)
			}
		})
	}
}

// TestSessionApprovalIsRead: what the gate gets is what was approved.
func TestSessionApprovalIsRead(t *testing.T) {
	s := newSite(t)
	r := s.askForSession()
	s.grantSession(r.Name)
	gate := newApprovalGate()
	s.follow(gate) // it is there before
	eventually(t, "the approval", func() bool { return gate.has(r.UID) })
	want := &access.SessionApproval{
		Name: r.Name, UID: string(r.UID), Requester: "oidc:alice", ConnectionUID: "c-1", ConnectionGeneration: 2,
		Rules:     []access.ApprovedRule{{PolicyUID: "p-1", Generation: 3, Rule: "writes", Resources: []string{"public.*"}}},
		Approvers: []string{"oidc:bob"},
		From:      time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2030, 1, 1, 0, 10, 0, 0, time.UTC),
	}
	gate.mu.Lock()
	defer gate.mu.Unlock()
	if diff := cmp.Diff(want, gate.held[string(r.UID)]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestSessionApprovalNotBelieved: a status that says more than the decisions do.
func TestSessionApprovalNotBelieved(t *testing.T) {
	approved := func() *v1alpha1.ApprovalRequest {
		return &v1alpha1.ApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "r"},
			Spec: v1alpha1.ApprovalRequestSpec{
				Scope: v1alpha1.ApprovalScopeSession, Requester: v1alpha1.Requester{Username: "oidc:alice"},
				Session:   v1alpha1.RequestedSession{Rules: []v1alpha1.RequestedRule{{Policy: "shop", Rule: "writes"}}},
				Decisions: []v1alpha1.Decision{by("oidc:bob", v1alpha1.VerdictApprove)},
			},
			Status: v1alpha1.ApprovalRequestStatus{
				Phase: v1alpha1.ApprovalApproved, MinimumApprovals: 1,
				Decisions: []v1alpha1.DecisionStatus{{State: v1alpha1.DecisionCounted}},
				Session: &v1alpha1.SessionApproval{
					Digest: digest, Binding: v1alpha1.Binding{Policies: []v1alpha1.BoundRule{{Name: "shop", Rule: "writes"}}},
					StartsAt: metav1.Now(), ExpiresAt: metav1.Now(),
				},
			},
		}
	}
	if a, why := sessionApproval(approved(), false); a == nil {
		t.Fatalf("not believed: %s", why)
	}
	deceiving := approved()
	deceiving.Spec.Revoke = &v1alpha1.Revocation{Username: "oidc:bob", Reason: "\u202edone"}
	if _, why := sessionApproval(deceiving, false); strings.ContainsRune(why, '\u202e') {
		t.Errorf("checklist 37: not neutralised: %q", why)
	}
	for name, change := range map[string]func(*v1alpha1.ApprovalRequest){
		"Denied": func(r *v1alpha1.ApprovalRequest) {
			r.Spec.Decisions = append(r.Spec.Decisions, by("oidc:carol", v1alpha1.VerdictDeny))
		},
		"BreakGlassNotDeclared": func(r *v1alpha1.ApprovalRequest) { r.Status.BreakGlass = &v1alpha1.BreakGlassUse{} },
		"BreakGlassNotGranted":  func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.BreakGlass = v1alpha1.BreakGlassDeclared },
		"Pending":               func(r *v1alpha1.ApprovalRequest) { r.Status.Phase = v1alpha1.ApprovalPending },
		"NoDecision":            func(r *v1alpha1.ApprovalRequest) { r.Spec.Decisions = nil },
		"VoidDecision":          func(r *v1alpha1.ApprovalRequest) { r.Status.Decisions[0].State = v1alpha1.DecisionVoid },
		"OtherDigest":           func(r *v1alpha1.ApprovalRequest) { r.Status.Session.Digest = "sha256:" + strings.Repeat("0", 64) },
		"Self":                  func(r *v1alpha1.ApprovalRequest) { r.Spec.Decisions[0].Approver.Username = "oidc:alice" },
		"TooFew":                func(r *v1alpha1.ApprovalRequest) { r.Status.MinimumApprovals = 2 },
		"OtherRule":             func(r *v1alpha1.ApprovalRequest) { r.Status.Session.Binding.Policies[0].Rule = "all" },
		"MoreRules": func(r *v1alpha1.ApprovalRequest) {
			r.Status.Session.Binding.Policies = append(r.Status.Session.Binding.Policies, v1alpha1.BoundRule{})
		},
		"NoTimes":   func(r *v1alpha1.ApprovalRequest) { r.Status.Session.ExpiresAt = metav1.Time{} },
		"NoSession": func(r *v1alpha1.ApprovalRequest) { r.Status.Session = nil },
		"Deleting":  func(r *v1alpha1.ApprovalRequest) { now := metav1.Now(); r.DeletionTimestamp = &now },
	} {
		t.Run(name, func(t *testing.T) {
			r := approved()
			change(r)
			if a, _ := sessionApproval(r, false); a != nil {
				t.Errorf("believed: %+v", a)
			}
		})
	}
}

// TestSessionApprovalAhead: what went ahead without approvals is read as that.
func TestSessionApprovalAhead(t *testing.T) {
	r := &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "r"},
		Spec: v1alpha1.ApprovalRequestSpec{
			Scope: v1alpha1.ApprovalScopeSession, Requester: v1alpha1.Requester{Username: "oidc:alice"},
			Session: v1alpha1.RequestedSession{BreakGlass: v1alpha1.BreakGlassDeclared, Rules: []v1alpha1.RequestedRule{{Policy: "shop", Rule: "writes"}}},
		},
		Status: v1alpha1.ApprovalRequestStatus{
			Phase: v1alpha1.ApprovalApproved, BreakGlass: &v1alpha1.BreakGlassUse{ReasonDigest: digest},
			Session: &v1alpha1.SessionApproval{
				Digest: digest, Binding: v1alpha1.Binding{Policies: []v1alpha1.BoundRule{{Name: "shop", Rule: "writes"}}},
				StartsAt: metav1.Now(), ExpiresAt: metav1.Now(),
			},
		},
	}
	if a, why := sessionApproval(r, false); a == nil || !a.BreakGlass || a.ReasonDigest != digest || len(a.Approvers) != 0 {
		t.Errorf("read as %+v (%s)", a, why)
	}
	// A denial that the manager found not to count ends nothing.
	r.Spec.Decisions = []v1alpha1.Decision{by("oidc:eve", v1alpha1.VerdictDeny)}
	r.Status.Decisions = []v1alpha1.DecisionStatus{{State: v1alpha1.DecisionVoid}}
	if a, why := sessionApproval(r, false); a == nil {
		t.Errorf("ended by what does not count: %s", why)
	}
}

// TestPaged: checklist 38, what may be much is read in pages, and of each only what matters is
// kept.
func TestPaged(t *testing.T) {
	pages := map[string]*v1alpha1.ApprovalRequestList{
		"":  {ListMeta: metav1.ListMeta{Continue: "2", ResourceVersion: "7"}, Items: []v1alpha1.ApprovalRequest{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}},
		"2": {ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []v1alpha1.ApprovalRequest{{ObjectMeta: metav1.ObjectMeta{Name: "c"}}}},
	}
	var last context.Context
	list := paged(func(ctx context.Context, options metav1.ListOptions) (*v1alpha1.ApprovalRequestList, error) {
		if _, bound := ctx.Deadline(); !bound || last != nil && last.Err() == nil {
			return nil, errors.New("a page has no time of its own")
		}
		last = ctx
		if options.Limit != pageSize || pageSize > 100 {
			return nil, fmt.Errorf("limit %d", options.Limit)
		}
		return pages[options.Continue], nil
	}, func(l *v1alpha1.ApprovalRequestList) []*v1alpha1.ApprovalRequest {
		return slices.DeleteFunc(pointers(l.Items), func(r *v1alpha1.ApprovalRequest) bool { return r.Name == "b" })
	})
	items, version, err := list(t.Context(), metav1.ListOptions{})
	if err != nil || version != "7" || len(items) != 2 || items[0].Name != "a" || items[1].Name != "c" {
		t.Errorf("listed %+v at %s: %v", items, version, err)
	}
	follower := &SessionApprovals{Gate: newApprovalGate()}
	if !follower.unimportant(&v1alpha1.ApprovalRequest{}) || follower.unimportant(&v1alpha1.ApprovalRequest{Status: v1alpha1.ApprovalRequestStatus{Phase: v1alpha1.ApprovalApproved}}) {
		t.Error("what waits is kept, or what is approved is not")
	}
}

// TestSessionApprovalsWatchLost: the gate is told when the watch is lost, and what ended
// meanwhile when it is back.
func TestSessionApprovalsWatchLost(t *testing.T) {
	s := newSite(t)
	r := s.askForSession()
	s.grantSession(r.Name)
	gate := newApprovalGate()
	s.follow(gate)
	eventually(t, "the watch", func() bool { return gate.has(r.UID) && gate.following() })
	env.BlackHole()
	resumed := false
	defer func() {
		if !resumed {
			must(t, env.Resume())
		}
	}()
	eventually(t, "the loss of the watch", func() bool { return !gate.following() })
	if !gate.has(r.UID) {
		t.Error("the approval ended with the watch; that is for the gate to decide")
	}
	must(t, s.admin.approvalRequests(s.namespace).Delete(t.Context(), r.Name, metav1.DeleteOptions{}))
	must(t, env.Resume())
	resumed = true
	eventually(t, "the watch is back", func() bool { return gate.following() && !gate.has(r.UID) })
}
