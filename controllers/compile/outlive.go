// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"

	"github.com/doorward/doorward/proxy/policy"
)

// endWithToken has sessions end with the caller's token where a policy that lets him
// through does not say otherwise: what one policy gives must not live on because another
// allows that for what it gives itself. Where none says anything, nothing is to be done.
// A module of Rego cannot say it.
func endWithToken(policies []policy.Policy) {
	if !slices.ContainsFunc(policies, func(p policy.Policy) bool { return !p.Audit && p.Limits != nil && p.Limits.OutliveTokenSeconds > 0 }) {
		return
	}
	for i := range policies {
		p := &policies[i]
		if p.Audit || !letsThrough(p) || p.Limits != nil && p.Limits.OutliveTokenSeconds > 0 {
			continue
		}
		limits := policy.Limits{}
		if p.Limits != nil {
			limits = *p.Limits
		}
		limits.OutliveTokenSeconds = policy.EndsWithToken
		p.Limits = &limits
	}
}

// letsThrough says that a policy gives something to its callers. One of the cluster only
// restricts.
func letsThrough(p *policy.Policy) bool {
	return p.Rego != "" || !p.Cluster && slices.ContainsFunc(p.Rules, func(r policy.Rule) bool { return r.Effect != policy.Deny })
}
