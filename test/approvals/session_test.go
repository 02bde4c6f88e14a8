// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const update = "UPDATE orders SET status = status WHERE id = 7"

// TestSession is the life of an approval that was asked for in advance: checklist 31, 32, 34
// and 36 on the real stack.
func TestSession(t *testing.T) {
	stacktest.Give(t, world, stack.Policy("on-call", stack.Users("ida", "ivan"), stack.Talk(),
		stack.Allow("read", []string{"select"}, "public.orders"),
		v1alpha1.Rule{
			Name: "incident", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
			Approval: &v1alpha1.ApprovalTerms{
				Scope: v1alpha1.ApprovalScopeSession, MaxDurationSeconds: 3600, TimeoutSeconds: 600, Minimum: 1,
				Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}},
			},
		}))
	mayAsk(t, "ida", "ivan")
	ida, bob := person(t, "ida"), person(t, "bob", "dba")
	idas := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "ida"})

	// Refused, not held, and told what to create.
	refused := refusal(t, idas)
	object := hinted(t, refused)

	// As she was told to, and nothing runs before it is approved.
	if err := unstructured.SetNestedField(object.Object, "INC-7, order 7 is stuck", "spec", "session", "reason"); err != nil {
		t.Fatal(err)
	}
	stacktest.Must(t, ida.Create(t.Context(), object))
	request := await(t, object.GetName(), v1alpha1.ApprovalPending)
	refusal(t, idas)
	if err := decide(t, ida, request); err == nil {
		t.Error("checklist 32: the requester approved her own request")
	}
	stacktest.Must(t, decide(t, bob, request))
	approved := await(t, request.Name, v1alpha1.ApprovalApproved)
	if approved.Spec.Requester.Username != "ida" {
		t.Errorf("requester %q", approved.Spec.Requester.Username)
	}

	// It runs, as often as she likes; nobody else's does.
	stacktest.Await(t, "the statement runs", func(ctx context.Context) error { _, err := idas.Run(ctx, update); return err })
	idas.Must(t, update)
	ivans := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "ivan"})
	refusal(t, ivans)
	bystander := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "ida"})
	bystander.Must(t, "SELECT count(*) FROM orders")

	// Revoked in the middle of a statement: her session is dead, and only that one.
	idas.Must(t, "BEGIN; "+update)
	running := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stacktest.Timeout)
		defer cancel()
		_, err := idas.Run(ctx, "SELECT pg_sleep(100)")
		running <- err
	}()
	stacktest.Must(t, patch(t, ida, approved, map[string]any{"op": "add", "path": "/spec/revoke", "value": map[string]any{"reason": "order 7 is out"}}))
	if err := <-running; err == nil {
		t.Error("the session outlived its approval")
	}
	stacktest.Await(t, "the session is over", func(ctx context.Context) error {
		if _, err := idas.Run(ctx, "SELECT count(*) FROM orders"); err == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	bystander.Must(t, "SELECT count(*) FROM orders")
	refusal(t, bystander)
	if r := await(t, request.Name, v1alpha1.ApprovalRevoked); r.Spec.Revoke.Username != "ida" {
		t.Errorf("revoked by %q", r.Spec.Revoke.Username)
	}
	recorded(t, approved)
}

// TestSessionStale: checklist 33, an edit of the policy ends the approval and what rests on it.
func TestSessionStale(t *testing.T) {
	policy := stack.Policy("on-call-stale", stack.Users("ilse"), stack.Talk(), v1alpha1.Rule{
		Name: "incident", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"},
		Approval: &v1alpha1.ApprovalTerms{
			Scope: v1alpha1.ApprovalScopeSession, MaxDurationSeconds: 3600, TimeoutSeconds: 600, Minimum: 1,
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}},
		},
	})
	stacktest.Give(t, world, policy)
	mayAsk(t, "ilse")
	ilse, bob := person(t, "ilse"), person(t, "bob", "dba")
	session := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "ilse"})
	object := hinted(t, refusal(t, session))
	stacktest.Must(t, ilse.Create(t.Context(), object))
	request := await(t, object.GetName(), v1alpha1.ApprovalPending)
	stacktest.Must(t, decide(t, bob, request))
	await(t, request.Name, v1alpha1.ApprovalApproved)
	stacktest.Await(t, "the statement runs", func(ctx context.Context) error { _, err := session.Run(ctx, update); return err })
	stacktest.Change(t, world, policy, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[1].Approval.MaxDurationSeconds = 1800 })
	await(t, request.Name, v1alpha1.ApprovalStale)
	stacktest.Await(t, "the session is over", func(ctx context.Context) error {
		if _, err := session.Run(ctx, "SELECT 1"); err == nil {
			return errors.New("it goes on")
		}
		return nil
	})
}

// person is somebody at the API server, in whose provider they have the same name.
func person(t *testing.T, name string, groups ...string) client.Client {
	t.Helper()
	config, err := world.User(name, groups...)
	stacktest.Must(t, err)
	c, err := stack.NewClient(config)
	stacktest.Must(t, err)
	return c
}

// mayAsk lets people ask in the shop.
func mayAsk(t *testing.T, names ...string) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "requesters-" + names[0]},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-requester"},
	}
	for _, name := range names {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: name})
	}
	stacktest.Create(t, world, binding)
}

// refusal runs what needs an approval, and returns why it did not run.
func refusal(t *testing.T, session *stacktest.Session) *pgconn.PgError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	_, err := session.Run(ctx, update)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "approval that lasts for a time") {
		t.Fatalf("want a refusal for want of an approval, got: %v", err)
	}
	return refused
}

// hinted is the object that the hint of a refusal has people create.
func hinted(t *testing.T, refused *pgconn.PgError) *unstructured.Unstructured {
	t.Helper()
	_, after, found := strings.Cut(refused.Hint, "kubectl create -f - <<'EOF'\n")
	text, _, closed := strings.Cut(after, "\nEOF")
	if !found || !closed || !strings.Contains(refused.Hint, "kubectl doorward request "+stack.Connection+" ") {
		t.Fatalf("the hint does not say what to create:\n%s", refused.Hint)
	}
	object := &unstructured.Unstructured{}
	stacktest.Must(t, object.UnmarshalJSON([]byte(text)))
	return object
}

func await(t *testing.T, name string, phase v1alpha1.ApprovalPhase) *v1alpha1.ApprovalRequest {
	t.Helper()
	request := &v1alpha1.ApprovalRequest{}
	stacktest.Await(t, "the request is "+string(phase), func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: name}, request); err != nil {
			return err
		}
		if request.Status.Phase != phase {
			return fmt.Errorf("its phase is %q: %+v", request.Status.Phase, request.Status.Conditions)
		}
		return nil
	})
	return request
}

func decide(t *testing.T, who client.Client, request *v1alpha1.ApprovalRequest) error {
	t.Helper()
	return patch(t, who, request, map[string]any{"op": "add", "path": "/spec/decisions/-", "value": v1alpha1.Decision{
		Verdict: v1alpha1.VerdictApprove, OperationDigest: request.Status.Session.Digest,
	}})
}

func patch(t *testing.T, who client.Client, request *v1alpha1.ApprovalRequest, op map[string]any) error {
	t.Helper()
	text, err := json.Marshal([]map[string]any{{"op": "test", "path": "/metadata/uid", "value": request.UID}, op})
	stacktest.Must(t, err)
	return who.Patch(t.Context(), request.DeepCopy(), client.RawPatch(types.JSONPatchType, text))
}

// recorded looks for the uses of an approval in the proxy's log.
func recorded(t *testing.T, request *v1alpha1.ApprovalRequest) {
	t.Helper()
	stacktest.Await(t, "the uses are on record", func(context.Context) error {
		all, err := stack.ReadRecords(world.Records())
		if err != nil {
			return err
		}
		uses, ended := 0, false
		for i := range all {
			d := &all[i]
			if a := d.Approval; d.Type == record.OperationDecided && a != nil && a.UID == string(request.UID) {
				uses++
				if a.Scope != "Session" || a.Request != request.Name || a.Outcome != "Approved" || len(a.Approvers) != 1 {
					return fmt.Errorf("a use is recorded as %+v", a)
				}
			}
			ended = ended || d.Type == record.SessionEnd && strings.Contains(d.Reason, request.Name) && strings.Contains(d.Reason, "order 7 is out")
		}
		if uses < 2 || !ended {
			return fmt.Errorf("%d uses on record, the end by its revocation: %t", uses, ended)
		}
		return nil
	})
}
