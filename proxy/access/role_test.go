// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

func withRole(role string) rules {
	r := allowing
	r.role = role
	return r
}

func conflicting() rules {
	r := allowing
	r.roleErr = &policy.ConflictError{Roles: []policy.TargetRole{
		{Policy: policy.RuleRef{Policy: "analysts", Generation: 3}, Role: "reader"},
		{Policy: policy.RuleRef{Policy: "oncall", Generation: 5}, Role: "writer"},
	}}
	return r
}

func TestTargetRole(t *testing.T) {
	w := newWorld(t, withRole("reader"))
	given := make([]record.Attribute, 1, 4)
	given[0] = record.Attribute{Name: "database", Value: "shop"}
	g, err := w.authenticate().Authorize(context.Background(), given...)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close("")
	if got := g.TargetRole(); got != "reader" {
		t.Errorf("TargetRole = %q", got)
	}
	want := []record.Attribute{{Name: "database", Value: "shop"}, {Name: "targetRole", Value: "reader"}}
	if diff := cmp.Diff(want, w.last(record.SessionStart).Attributes); diff != "" {
		t.Errorf("the start of the session does not show the role: -want +got:\n%s", diff)
	}
	if spill := given[:2][1]; spill != (record.Attribute{}) {
		t.Errorf("the caller's own list was written to: %v", spill)
	}
}

// TestTargetRoleConflict: nobody guesses which role is meant.
func TestTargetRoleConflict(t *testing.T) {
	w := newWorld(t, conflicting())
	_, err := w.authenticate().Authorize(context.Background())
	refusal := AsRefusal(err)
	if refusal.Reason != ReasonTargetRole {
		t.Fatalf("Authorize: %v", err)
	}
	for _, text := range []string{refusal.Message, refusal.Detail()} {
		if !strings.Contains(text, `"analysts"`) || !strings.Contains(text, `"oncall"`) {
			t.Errorf("not both policies are named: %q", text)
		}
	}
	event := w.last(record.SessionRefused)
	if event.Decision.Effect != policy.Deny || len(event.Decision.Rules) != 2 || !strings.Contains(event.Reason, "oncall") {
		t.Errorf("on record is %+v", event)
	}
	if w.gate.Sessions() != 0 {
		t.Error("a session is left")
	}
	failing := allowing
	failing.roleErr = errBoom
	w.apply(failing)
	if _, err := w.authenticate().Authorize(context.Background()); reason(err) != ReasonUnavailable {
		t.Errorf("a role that cannot be found out: %v", err)
	}
}

// TestTargetRoleChange: a session has one role for its whole life.
func TestTargetRoleChange(t *testing.T) {
	cases := map[string]struct {
		reason        string
		before, after rules
		ended         bool
	}{
		"Same":     {reason: "nothing changed", before: withRole("reader"), after: withRole("reader")},
		"Other":    {reason: "another role", before: withRole("reader"), after: withRole("writer"), ended: true},
		"Gone":     {reason: "the credential's own role may be more", before: withRole("reader"), after: allowing, ended: true},
		"New":      {reason: "the credential's own role was more", before: allowing, after: withRole("reader"), ended: true},
		"Conflict": {reason: "nobody can tell", before: withRole("reader"), after: conflicting(), ended: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.before)
			g := w.authorize()
			defer g.Close("")
			w.apply(tc.after)
			cause := context.Cause(g.Context())
			if tc.ended != (cause != nil) {
				t.Fatalf("%s: ended with %v", tc.reason, cause)
			}
			if tc.ended && (!errors.Is(cause, ErrRevoked) || !strings.Contains(cause.Error(), "role at the target")) {
				t.Errorf("%s: the cause is not clear: %v", tc.reason, cause)
			}
		})
	}
}
