// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

var requestName = regexp.MustCompile(`ApprovalRequest "([^"]+)"`)

// approvals measures how soon whoever waits for an approval is told that there will be
// none, or gets it.
func approvals(t *testing.T, size sizes, out *results) {
	t.Helper()
	change := v1alpha1.Rule{
		Name: "change", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
		Approval: &v1alpha1.ApprovalTerms{Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, Minimum: 1, TimeoutSeconds: 300},
	}
	stacktest.Give(t, world, stack.Policy("live-held", stack.Users("hal"), talk, readOrders, change))
	config, err := world.User("bob", "dba")
	stacktest.Must(t, err)
	bob, err := stack.NewClient(config)
	stacktest.Must(t, err)
	session := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "hal"})
	decide := func(verdict v1alpha1.Verdict) func(context.Context, *v1alpha1.ApprovalRequest) error {
		return func(ctx context.Context, request *v1alpha1.ApprovalRequest) error {
			patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/decisions/-", "value": v1alpha1.Decision{
				Verdict: verdict, OperationDigest: request.Spec.Operation.Digest,
			}}})
			if err != nil {
				return err
			}
			return bob.Patch(ctx, request, client.RawPatch(types.JSONPatchType, patch))
		}
	}
	for _, of := range []struct {
		what, until string
		runs        bool
		decide      func(context.Context, *v1alpha1.ApprovalRequest) error
	}{
		{"approval denied", "the held statement is refused", false, decide(v1alpha1.VerdictDeny)},
		{"ApprovalRequest deleted", "the held statement is refused", false, func(ctx context.Context, request *v1alpha1.ApprovalRequest) error {
			return world.Admin.Delete(ctx, request)
		}},
		{"approval given", "the held statement has run", true, decide(v1alpha1.VerdictApprove)},
	} {
		var took series
		for range size.changes {
			request, answered := hold(t, session)
			stacktest.Must(t, of.decide(t.Context(), request))
			accepted := time.Now()
			answer := <-answered
			var refused *pgconn.PgError
			if runs := answer.err == nil; runs != of.runs || !runs && !errors.As(answer.err, &refused) {
				t.Fatalf("%s: the held statement was answered: %v", of.what, answer.err)
			}
			took.add(accepted, answer.at)
		}
		out.add(t, of.what, of.until, took)
	}
}

type answer struct {
	err error
	at  time.Time
}

// hold runs a statement that is held, and returns its request.
func hold(t *testing.T, session *stacktest.Session) (*v1alpha1.ApprovalRequest, <-chan answer) {
	t.Helper()
	answered := make(chan answer, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stacktest.Timeout)
		defer cancel()
		_, err := session.Run(ctx, "UPDATE orders SET status = 'sent' WHERE id = 7")
		answered <- answer{err: err, at: time.Now()}
	}()
	var notice *pgconn.Notice
	select {
	case notice = <-session.Notices:
	case a := <-answered:
		t.Fatalf("the statement was not held: %v", a.err)
	}
	name := requestName.FindStringSubmatch(notice.Message)
	if name == nil {
		t.Fatalf("the notice names no request: %s", notice.Message)
	}
	request := &v1alpha1.ApprovalRequest{}
	stacktest.Must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.Namespace, Name: name[1]}, request))
	return request, answered
}
