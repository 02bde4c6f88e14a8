// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
)

func TestParseRule(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   v1alpha1.RequestedRule
		fails  bool
	}{
		"Short":   {reason: "policies of the namespace are usual", text: "on-call/incident", want: v1alpha1.RequestedRule{Kind: v1alpha1.KindAccessPolicy, Policy: "on-call", Rule: "incident"}},
		"Kind":    {reason: "a kind can be said", text: "AccessPolicy/on-call/incident", want: v1alpha1.RequestedRule{Kind: v1alpha1.KindAccessPolicy, Policy: "on-call", Rule: "incident"}},
		"Cluster": {reason: "and has to be", text: "ClusterAccessPolicy/base/incident", want: v1alpha1.RequestedRule{Kind: v1alpha1.KindClusterAccessPolicy, Policy: "base", Rule: "incident"}},
		"Named":   {reason: "a policy may be named like a kind", text: "AccessPolicy/incident", want: v1alpha1.RequestedRule{Kind: v1alpha1.KindAccessPolicy, Policy: "AccessPolicy", Rule: "incident"}},
		"NoRule":  {reason: "a policy is no rule", text: "on-call", fails: true},
		"Empty":   {reason: "nor is half a name", text: "on-call/", fails: true},
		"Unknown": {reason: "there is no such kind", text: "Policy/on-call/incident", fails: true},
		"Four":    {reason: "nor a name of four parts", text: "AccessPolicy/on-call/incident/now", fails: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseRule(tc.text)
			if (err != nil) != tc.fails {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	now := time.Date(2027, 1, 1, 12, 0, 0, 500, time.UTC)
	long := strings.Repeat("d", 57) + "-b"
	cases := map[string]struct {
		reason     string
		connection string
		change     func(*requesting)
		want       string
		wrong      string
	}{
		"Plain":    {reason: "the name is generated from the Connection's", connection: "orders-db", want: "orders-db- "},
		"Long":     {reason: "and no longer than admission takes", connection: long, want: strings.Repeat("d", 57) + "- "},
		"Time":     {reason: "a time begins then", connection: "db", change: func(o *requesting) { o.notBefore = "2027-01-01T22:00:00+01:00" }, want: "db- 2027-01-01T21:00:00Z"},
		"Duration": {reason: "a duration begins after it", connection: "db", change: func(o *requesting) { o.notBefore = "90m" }, want: "db- 2027-01-01T13:30:00Z"},
		"Past":     {reason: "nothing begins in the past", connection: "db", change: func(o *requesting) { o.notBefore = "-1h" }, wrong: "in the past"},
		"Far":      {reason: "the manager voids what is far off", connection: "db", change: func(o *requesting) { o.notBefore = "169h" }, wrong: "more than 7 days ahead"},
		"Bidi":     {reason: "approvers are not to be deceived", connection: "db", change: func(o *requesting) { o.reason = "INC\u202e4711" }, wrong: `--reason INC\u{202e}4711`},
		"TooLong":  {reason: "the API takes no more", connection: "db", change: func(o *requesting) { o.reason = strings.Repeat("a", 1025) }, wrong: "more than 1024 characters"},
		"Fraction": {reason: "durations are whole seconds", connection: "db", change: func(o *requesting) { o.duration = 90*time.Second + 1 }, wrong: "give whole seconds"},
		"Week":     {reason: "a week is the most", connection: "db", change: func(o *requesting) { o.duration = 169 * time.Hour }, wrong: "to 168h0m0s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := &requesting{Flags: cluster.NewFlags(), rules: []string{"on-call/incident", "AccessPolicy/on-call/incident"}, reason: "INC-4711"}
			namespace := "shop"
			o.Namespace = &namespace
			if tc.change != nil {
				tc.change(o)
			}
			r, err := o.build(tc.connection, now)
			if tc.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wrong) {
					t.Errorf("%s: want %q, got %v", tc.reason, tc.wrong, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if len(r.Spec.Session.Rules) != 1 {
				t.Errorf("a rule that is named twice is asked for once: %v", r.Spec.Session.Rules)
			}
			got := r.GenerateName + " "
			if at := r.Spec.Session.NotBefore; !at.IsZero() {
				got += at.UTC().Format(time.RFC3339)
			}
			if got != tc.want {
				t.Errorf("%s: want %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}
