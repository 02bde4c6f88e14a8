// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// update is a statement with a mark that is found in the target's log.
func update(t *testing.T, id int) (statement, text string) {
	t.Helper()
	text = fmt.Sprintf("%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
	return fmt.Sprintf("UPDATE orders SET status = '%s' WHERE id = %d", text, id), text
}

// never fails the test where the target was sent a text.
func never(t *testing.T, text string) {
	t.Helper()
	if n := timesExecuted(t, text); n != 0 {
		t.Errorf("the target was sent %q %d times, want never", text, n)
	}
}

// TestApprovalRunsOnce: the kubectl line of the notice lets exactly this
// statement run once; the same statement again asks anew (checklist 34, 35).
func TestApprovalRunsOnce(t *testing.T) {
	s := login(t, alice)
	statement, text := update(t, 20)
	first := mustHold(t, s, statement)
	never(t, text)
	began := time.Now()
	if output, err := first.shell(t, "bob", "dba"); err != nil {
		t.Fatalf("bob's kubectl: %v: %s", err, output)
	}
	first.ran(t)
	took := time.Since(began)
	if n := timesExecuted(t, text); n != 1 {
		t.Errorf("the target executed the approved statement %d times, want once", n)
	}
	first.phase(t, v1alpha1.ApprovalUsed)
	second := mustHold(t, s, statement)
	if second.request.Name == first.request.Name {
		t.Error("the second execution did not ask anew")
	}
	refusedWith(t, first.decide(t.Context(), person(t, "carol", "dba"), v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove}), "used")
	second.still(t)
	refusedWith(t, decideWithDigest(t, second, "sha256:"+strings.Repeat("0", 64)), "operationDigest of a decision must equal")
	if err := s.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants(t, refusal(t, second.answer(t)), "57014", "nothing was forwarded")
	if n := timesExecuted(t, text); n != 1 {
		t.Errorf("the target executed the statement %d times, want once", n)
	}
	t.Logf("approved by kubectl, the statement had run %s after kubectl was started", took.Round(time.Millisecond))
}

func decideWithDigest(t *testing.T, h *held, digest string) error {
	t.Helper()
	return h.decide(t.Context(), person(t, "bob", "dba"), v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove, OperationDigest: digest})
}

// TestApprovalForged tries to get round the four eyes while admission is in
// force: the API server refuses each attempt, and nothing runs (checklist 31, 32, 33).
func TestApprovalForged(t *testing.T) {
	bindApprover(t, "erin")
	s := login(t, alice)
	statement, text := update(t, 21)
	h := mustHold(t, s, statement)
	approve := v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove}
	stamped := func(name string, groups ...string) v1alpha1.Decision {
		decision := approve
		decision.Approver = &v1alpha1.DecisionApprover{Username: name, Groups: groups}
		return decision
	}
	bob := person(t, "bob", "dba")
	edit := func(c client.Client, patch string) error {
		return c.Patch(t.Context(), h.request.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(patch)))
	}
	for name, tc := range map[string]struct {
		reason, text string
		try          func() error
	}{
		"SelfApproval": {
			reason: "psql's alice and kubectl's alice are one, whatever groups she has there",
			text:   "requester and approver must differ",
			try:    func() error { return h.decide(t.Context(), person(t, "alice", "analysts", "dba"), approve) },
		},
		"AnotherName": {
			reason: "an approver cannot sign for a colleague",
			text:   "the approver of the decision must be the user who makes it",
			try:    func() error { return h.decide(t.Context(), bob, stamped("carol", "dba", "system:authenticated")) },
		},
		"OtherGroups": {
			reason: "nor give themselves groups",
			text:   "the approver of the decision must be the user who makes it",
			try: func() error {
				return h.decide(t.Context(), person(t, "erin"), stamped("erin", "dba", "system:authenticated"))
			},
		},
		"NotNamed": {
			reason: "the verb approve alone does not approve: the policy must name the approver",
			text:   "is not among the approvers",
			try:    func() error { return h.decide(t.Context(), person(t, "erin"), approve) },
		},
		"ClusterAdmin": {
			reason: "nor does the star of a cluster admin",
			text:   "is not among the approvers",
			try:    func() error { return h.decide(t.Context(), world.Admin, approve) },
		},
		"NoRights": {
			reason: "the group alone does not approve: RBAC must grant it",
			text:   "forbidden",
			try:    func() error { return h.decide(t.Context(), person(t, "frank", "analysts"), approve) },
		},
		"StatementEdited": {
			reason: "what is approved is what was asked for",
			text:   "operation cannot be changed",
			try: func() error {
				return edit(bob, `[{"op":"replace","path":"/spec/operation/statement","value":"UPDATE orders SET amount = 0"}]`)
			},
		},
		"ExpiryEdited": {
			reason: "nor can an admin keep it alive for longer",
			text:   "expiresAt cannot be changed",
			try: func() error {
				return edit(world.Admin, `[{"op":"replace","path":"/spec/expiresAt","value":"2099-01-01T00:00:00Z"}]`)
			},
		},
		"StatusWritten": {
			reason: "the status is the manager's alone, also for an admin",
			text:   "is written by",
			try: func() error {
				return world.Admin.Status().Patch(t.Context(), h.request.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"phase":"Approved"}}`)))
			},
		},
		"UseMarked": {
			reason: "only the proxy that holds the operation may mark it used",
			text:   "spec.use is set by proxies",
			try: func() error {
				return edit(bob, `[{"op":"add","path":"/spec/use","value":{"usedAt":"2026-01-01T00:00:00Z","proxyInstance":"shop-db-1"}}]`)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			refusedWith(t, tc.try(), tc.text)
		})
	}
	h.still(t)
	never(t, text)
	if err := h.decide(t.Context(), bob, v1alpha1.Decision{Verdict: v1alpha1.VerdictDeny, Comment: "not on a Friday"}); err != nil {
		t.Fatal(err)
	}
	wants(t, refusal(t, h.answer(t)), codeInsufficient, "was denied by bob", "not on a Friday")
	h.phase(t, v1alpha1.ApprovalDenied)
	never(t, text)
	s.Must(t, "SELECT 1")
}

// TestApprovalTimeout: nobody decides.
func TestApprovalTimeout(t *testing.T) {
	const seconds = 10
	givePolicy(t, stack.Policy("impatient", stack.Users("ian"), talk, approval("change", seconds), readOrders))
	s := login(t, caller{User: "ian"})
	statement, text := update(t, 22)
	began := time.Now()
	h := mustHold(t, s, statement)
	wants(t, refusal(t, h.answer(t)), codeInsufficient, "nobody decided", "Run it again")
	took := time.Since(began)
	if took < (seconds-2)*time.Second || took > seconds*time.Second+within(3*time.Second) {
		t.Errorf("the timeout came after %s, want %d s", took, seconds)
	}
	h.phase(t, v1alpha1.ApprovalExpired)
	never(t, text)
	s.Must(t, "SELECT count(*) FROM orders")
	t.Logf("timeoutSeconds %d: answered after %s", seconds, took.Round(time.Millisecond))
}

// TestApprovalStale edits the policy between approval and use, which is when the
// proxy is stopped (checklist 33).
func TestApprovalStale(t *testing.T) {
	policy := stack.Policy("changing", stack.Users("stan"), talk, approval("change", 300), readOrders)
	givePolicy(t, policy)
	s := login(t, caller{User: "stan"})
	statement, text := update(t, 23)
	h := mustHold(t, s, statement)
	proxy := world.Proxy()
	if err := proxy.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() {
		if err := proxy.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(resume)
	h.approve(t, "bob", "dba")
	h.phase(t, v1alpha1.ApprovalApproved)
	change(t, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1].Message = "edited between approval and use" })
	h.phase(t, v1alpha1.ApprovalStale)
	resume()
	said := refusal(t, h.answer(t))
	if !strings.Contains(said.Message, "Stale") {
		t.Errorf("the caller is told %q, want that the approval is stale", said.Message)
	}
	never(t, text)
	s.Must(t, "SELECT count(*) FROM orders")
}

// TestApprovalOfUnmappedRequester: a caller whom the provider maps to no
// Kubernetes user cannot be told from an approver, and obtains nothing.
func TestApprovalOfUnmappedRequester(t *testing.T) {
	who := unmapped(t)
	s := login(t, who)
	statement, text := update(t, 24)
	_, err := s.Run(t.Context(), statement)
	wants(t, refusal(t, err), codeInsufficient, "maps its callers to no Kubernetes user", "spec.kubernetesUsername")
	never(t, text)
	s.Must(t, "SELECT count(*) FROM orders")
}
