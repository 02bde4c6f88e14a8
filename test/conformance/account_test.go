// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
)

// accountTimeout bounds the wait for records and objects to arrive.
const accountTimeout = 60 * time.Second

// account makes the account of a caller's sessions, once the client has ended.
func (c *caller) account() {
	t := c.t
	t.Helper()
	if t.Skipped() {
		return
	}
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), accountTimeout)
	defer cancel()
	var sessions map[string][]record.Document
	var executed map[string][]string
	err := stack.Await(ctx, func(context.Context) (err error) {
		if executed, err = targetLog(suite.PostgresLog(), c.user); err != nil {
			return err
		}
		if sessions, err = records.of(c.user); err != nil {
			return err
		}
		return complete(sessions, executed)
	})
	if err != nil {
		t.Errorf("the records of %q: %v", c.user, err)
		return
	}
	for id, documents := range sessions {
		for _, problem := range compareLogs(documents, executed[tailOf(id)]) {
			t.Errorf("session %s of %q: %s", id, c.user, problem)
		}
		for _, d := range documents {
			if d.Actor == nil || d.Actor.UserName != c.user || d.Actor.KubernetesUser != c.user || !slices.Equal(d.Actor.Groups, c.groups) {
				t.Errorf("record %d of session %s names the actor %+v, want %q with groups %q", d.Index, id, d.Actor, c.user, c.groups)
			}
		}
		c.checkObject(ctx, id, documents)
	}
	c.checkSeen()
	checkCanary(ctx, t, c)
}

// complete says whether all sessions that reached the target, one at least,
// have ended on record.
func complete(sessions map[string][]record.Document, executed map[string][]string) error {
	ended := map[string]bool{}
	for id, documents := range sessions {
		if documents[len(documents)-1].Type != record.SessionEnd {
			return fmt.Errorf("session %s has not ended on record", id)
		}
		ended[tailOf(id)] = true
	}
	for tail := range executed {
		if !ended[tail] {
			return fmt.Errorf("a session ending in %q is in the target's log and not on record", tail)
		}
	}
	if len(ended) == 0 {
		return errors.New("there is no session")
	}
	return nil
}

// checkObject compares a session's AuditSession with its records.
func (c *caller) checkObject(ctx context.Context, id string, documents []record.Document) {
	c.t.Helper()
	var object v1alpha1.AuditSession
	err := stack.Await(ctx, func(ctx context.Context) error {
		if err := suite.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: id}, &object); err != nil {
			return err
		}
		if object.Status.Phase != v1alpha1.SessionEnded {
			return fmt.Errorf("phase is %q, want %q", object.Status.Phase, v1alpha1.SessionEnded)
		}
		return nil
	})
	if err != nil {
		c.t.Errorf("AuditSession %q: %v", id, err)
		return
	}
	type summary struct {
		Connection, User, KubernetesUser string
		Groups                           []string
		Kind                             v1alpha1.ActorKind
		Operations                       v1alpha1.OperationCounts
		First, Last                      int64
	}
	want := summary{
		Connection: stack.Connection, User: c.user, KubernetesUser: c.user, Groups: c.groups, Kind: v1alpha1.ActorHuman,
		Operations: count(documents), First: documents[0].Index, Last: documents[len(documents)-1].Index,
	}
	actor := object.Spec.Actor
	got := summary{
		Connection: object.Spec.ConnectionRef.Name, User: actor.Username, KubernetesUser: actor.KubernetesUsername, Groups: actor.Groups, Kind: actor.Kind,
	}
	if object.Status.Operations != nil {
		got.Operations = *object.Status.Operations
	}
	if object.Status.Log != nil {
		got.First, got.Last = object.Status.Log.FirstRecord, object.Status.Log.LastRecord
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("AuditSession %q against its records (-want +got):\n%s", id, diff)
	}
}

// count counts a session's operations from its records.
func count(documents []record.Document) (n v1alpha1.OperationCounts) {
	for _, d := range documents {
		switch d.Type {
		case record.OperationDecided:
			n.Total++
			if allowed(d) {
				n.Allowed++
			} else {
				n.Denied++
			}
		case record.OperationHeld:
			n.Held++
		case record.OperationResult:
			if len(d.Result.MaskedFields) > 0 {
				n.Masked++
			}
			if d.Result.Outcome == "Failed" {
				n.Failed++
			}
		default:
		}
	}
	return n
}

// allowed says whether a decided operation was forwarded.
func allowed(d record.Document) bool {
	return d.Decision.Effect == "Allow" || d.Approval != nil && d.Approval.Outcome == "Approved"
}

// expectCounts compares what all sessions of a caller come to with what the
// client is known to have done. It awaits the sessions' ends on record.
func (c *caller) expectCounts(t *testing.T, want v1alpha1.OperationCounts) {
	t.Helper()
	var got v1alpha1.OperationCounts
	err := stack.Await(c.context(), func(context.Context) error {
		sessions, err := records.of(c.user)
		if err != nil {
			return err
		}
		got = v1alpha1.OperationCounts{}
		for _, documents := range sessions {
			n := count(documents)
			got.Total, got.Allowed, got.Denied = got.Total+n.Total, got.Allowed+n.Allowed, got.Denied+n.Denied
			got.Held, got.Masked, got.Failed = got.Held+n.Held, got.Masked+n.Masked, got.Failed+n.Failed
		}
		return complete(sessions, nil)
	})
	if err != nil {
		t.Errorf("the records of %q: %v", c.user, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations of %q (-want +got):\n%s", c.user, diff)
	}
}
