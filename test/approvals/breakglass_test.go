// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestBreakGlass: somebody whom the rule names goes ahead where each operation would be held,
// alone and loudly, and is reviewed: checklist 31, 32, 34 and 36 on the real stack.
func TestBreakGlass(t *testing.T) {
	stacktest.Give(t, world, stack.Policy("on-call-held", stack.Users("gina", "gus"), stack.Talk(),
		stack.Allow("read", []string{"select"}, "public.orders"),
		v1alpha1.Rule{
			Name: "held", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
			Approval: &v1alpha1.ApprovalTerms{
				TimeoutSeconds: 600, Minimum: 1, Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}},
				BreakGlass: &v1alpha1.BreakGlass{Subjects: []v1alpha1.Approver{{Kind: v1alpha1.ApproverUser, Name: "gina"}}, MaxDurationSeconds: 600},
			},
		}))
	mayAsk(t, "gina", "gus")
	gina, gus, bob := person(t, "gina"), person(t, "gus"), person(t, "bob", "dba")

	// Held, and told that she may go ahead; he is not told.
	held := func(name string) string {
		t.Helper()
		session := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: name})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = session.Run(ctx, update) // it is canceled
		}()
		defer func() { <-done }()
		defer cancel()
		select {
		case notice := <-session.Notices:
			return notice.Hint
		case <-done:
			t.Fatal("it was not held")
		}
		return ""
	}
	const command = "kubectl doorward request " + stack.Connection + " -n " + stack.Namespace + " --rule on-call-held/held --break-glass"
	if hint := held("gina"); !strings.Contains(hint, command) {
		t.Errorf("the notice does not say that she may go ahead:\n%s", hint)
	}
	if hint := held("gus"); strings.Contains(hint, "break-glass") {
		t.Errorf("the notice says that he may go ahead:\n%s", hint)
	}

	declare := func(who client.Client) *v1alpha1.ApprovalRequest {
		t.Helper()
		request := &v1alpha1.ApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, GenerateName: "break-glass-"},
			Spec: v1alpha1.ApprovalRequestSpec{
				ConnectionRef: v1alpha1.ConnectionReference{Name: stack.Connection}, Scope: v1alpha1.ApprovalScopeSession,
				Session: v1alpha1.RequestedSession{
					Reason: "INC-9, checkout is down", DurationSeconds: 300, BreakGlass: v1alpha1.BreakGlassDeclared,
					Rules: []v1alpha1.RequestedRule{{Kind: v1alpha1.KindAccessPolicy, Policy: "on-call-held", Rule: "held"}},
				},
				Decisions: []v1alpha1.Decision{},
			},
		}
		stacktest.Must(t, who.Create(t.Context(), request))
		return request
	}
	await(t, declare(gus).Name, v1alpha1.ApprovalVoid)
	request := await(t, declare(gina).Name, v1alpha1.ApprovalApproved)
	if request.Spec.Requester.Username != "gina" || request.Status.BreakGlass == nil || !meta.IsStatusConditionTrue(request.Status.Conditions, v1alpha1.ConditionBreakGlass) {
		t.Errorf("in force as %+v", request.Status)
	}

	warned(t, request)

	// It runs without being held; another's is held as before.
	session := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "gina"})
	stacktest.Await(t, "the statement runs", func(context.Context) error {
		ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
		defer cancel()
		got := make(chan error, 1)
		go func() { _, err := session.Run(ctx, update); got <- err }()
		select {
		case err := <-got:
			return err
		case notice := <-session.Notices:
			cancel()
			<-got
			session = stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "gina"})
			return fmt.Errorf("it is held: %s", notice.Message)
		}
	})
	session.Must(t, update)
	held("gus")

	// An approver denies it after all: her session is dead at once.
	deny := v1alpha1.Decision{Verdict: v1alpha1.VerdictDeny, OperationDigest: request.Status.Session.Digest, Comment: "use the runbook"}
	stacktest.Must(t, patch(t, bob, request, map[string]any{"op": "add", "path": "/spec/decisions/-", "value": deny}))
	stacktest.Await(t, "the session is over", func(ctx context.Context) error {
		if _, err := session.Run(ctx, "SELECT 1"); err == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	request = await(t, request.Name, v1alpha1.ApprovalDenied)

	// She cannot review it, her approver can.
	review := func(who client.Client) error {
		return patch(t, who, request, map[string]any{"op": "add", "path": "/spec/review", "value": map[string]any{
			"reason": "two updates of order 7", "operationDigest": request.Status.Session.Digest,
		}})
	}
	if err := review(gina); err == nil {
		t.Error("checklist 32: the requester reviewed her own request")
	}
	stacktest.Must(t, review(bob))
	stacktest.Await(t, "the review counts", func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil {
			return err
		}
		if request.AwaitsReview() {
			return fmt.Errorf("%+v", request.Status.Conditions)
		}
		return nil
	})
	if who := request.Spec.Review.Reviewer; who.Username != "bob" {
		t.Errorf("reviewed by %+v", who)
	}
	aheadOnRecord(t, request)
}

// warned looks for the Events that it goes ahead.
func warned(t *testing.T, request *v1alpha1.ApprovalRequest) {
	t.Helper()
	stacktest.Await(t, "admins are warned", func(ctx context.Context) error {
		var all eventsv1.EventList
		if err := world.Admin.List(ctx, &all, client.InNamespace(stack.Namespace)); err != nil {
			return err
		}
		kinds := map[string]bool{}
		for i := range all.Items {
			if e := &all.Items[i]; e.Reason == "BreakGlass" && e.Type == "Warning" && strings.Contains(e.Note, request.Name) && strings.Contains(e.Note, "gina") &&
				strings.Contains(e.Note, request.Status.BreakGlass.ReasonDigest) {
				kinds[e.Regarding.Kind] = true
			}
		}
		if !kinds["ApprovalRequest"] || !kinds["Connection"] {
			return fmt.Errorf("warned on %v", kinds)
		}
		return nil
	})
}

// aheadOnRecord looks for what was done without approvals in the proxy's log and in the
// AuditSession.
func aheadOnRecord(t *testing.T, request *v1alpha1.ApprovalRequest) {
	t.Helper()
	stacktest.Await(t, "it is on record", func(ctx context.Context) error {
		all, err := stack.ReadRecords(world.Records())
		if err != nil {
			return err
		}
		uses, ended, name := 0, false, ""
		for i := range all {
			d := &all[i]
			if a := d.Approval; a == nil || a.UID != string(request.UID) {
				continue
			} else if !a.BreakGlass || a.ReasonDigest != request.Status.BreakGlass.ReasonDigest || len(a.Approvers) > 0 || d.Actor.KubernetesUser != "gina" {
				return fmt.Errorf("recorded as %+v of %+v", a, d.Actor)
			}
			name = d.Session
			if d.Type == record.OperationDecided {
				uses++
			}
			ended = ended || d.Type == record.SessionEnd && strings.Contains(d.Reason, "was denied by bob")
		}
		if uses < 2 || !ended {
			return fmt.Errorf("%d uses on record, the end: %t", uses, ended)
		}
		audit := &v1alpha1.AuditSession{}
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: name}, audit); err != nil {
			return err
		}
		if !slices.Contains(audit.Status.BreakGlass, request.Name) {
			return fmt.Errorf("the AuditSession names %v", audit.Status.BreakGlass)
		}
		return nil
	})
}
