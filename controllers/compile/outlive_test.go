// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// TestEndWithToken: where one policy lets sessions outlive their tokens, each other one
// that lets somebody through has to say so too, or sessions end with the token.
func TestEndWithToken(t *testing.T) {
	allow, deny, ask := policy.Rule{Effect: policy.Allow}, policy.Rule{Effect: policy.Deny}, policy.Rule{Effect: policy.RequireApproval}
	says := policy.Policy{Rules: []policy.Rule{allow}, Limits: &policy.Limits{OutliveTokenSeconds: 60}}
	const nothing = 0
	for name, tc := range map[string]struct {
		reason string
		other  policy.Policy
		want   int64
	}{
		"Allows":        {"what it gives is its own to bound", policy.Policy{Rules: []policy.Rule{deny, allow}}, policy.EndsWithToken},
		"Asks":          {"what is approved is given, too", policy.Policy{Rules: []policy.Rule{ask}}, policy.EndsWithToken},
		"OtherLimit":    {"another limit says nothing of it", policy.Policy{Rules: []policy.Rule{allow}, Limits: &policy.Limits{IdleSeconds: 60}}, policy.EndsWithToken},
		"Module":        {"a module cannot say it", policy.Policy{Rego: "package doorward.policy"}, policy.EndsWithToken},
		"Says":          {"it does", policy.Policy{Rules: []policy.Rule{allow}, Limits: &policy.Limits{OutliveTokenSeconds: 30}}, 30},
		"Denies":        {"it gives nothing", policy.Policy{Rules: []policy.Rule{deny}}, nothing},
		"Masks":         {"it gives nothing", policy.Policy{Masks: []policy.Mask{{Name: "m"}}}, nothing},
		"Audit":         {"it decides nothing", policy.Policy{Audit: true, Rules: []policy.Rule{allow}}, nothing},
		"Cluster":       {"it gives nothing", policy.Policy{Cluster: true, Rules: []policy.Rule{ask}}, nothing},
		"ClusterBounds": {"it bounds all", policy.Policy{Cluster: true, Limits: &policy.Limits{OutliveTokenSeconds: 1}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := func(p policy.Policy) int64 {
				if p.Limits == nil {
					return nothing
				}
				return p.Limits.OutliveTokenSeconds
			}
			set := []policy.Policy{tc.other, says}
			endWithToken(set)
			if got(set[0]) != tc.want || got(set[1]) != 60 {
				t.Errorf("%s: got %d and %d, want %d and 60", tc.reason, got(set[0]), got(set[1]), tc.want)
			}
			if l := tc.other.Limits; l != nil && l.OutliveTokenSeconds == policy.EndsWithToken {
				t.Error("the compiled policy of another Connection was changed with it")
			}
			alone := []policy.Policy{tc.other}
			audited := says
			audited.Audit = true
			alone = append(alone, audited)
			endWithToken(alone)
			if tc.want == policy.EndsWithToken && got(alone[0]) != nothing {
				t.Errorf("where no policy in force says anything, nothing is to be done: %d", got(alone[0]))
			}
		})
	}
}
