// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// outlives is for how many seconds a session may go on after the caller's token has
// expired: the least that policies allow which bind him, none where one that lets him
// through does not allow it.
func outlives(list []policy.Limits) int64 {
	seconds := int64(0)
	for i := range list {
		switch own := list[i].OutliveTokenSeconds; {
		case own == policy.EndsWithToken:
			return 0
		case own > 0 && (seconds == 0 || own < seconds):
			seconds = own
		}
	}
	return seconds
}

// proofEnd is when what proves a caller is worth nothing any more to a session that it
// has opened; zero for never. A gateway credential can be revoked until it ends, a token
// that the API server reviews it would have to be asked about again, and of a ServiceAccount
// that is proven by keys nobody tells whether it is still there: sessions end with these.
func proofEnd(s *snapshot.Snapshot, who *identity.Principal, outlives int64) time.Time {
	if who.ExpiresAt.IsZero() || outlives <= 0 || who.Credential.ID != "" || workload(s, who.Provider) {
		return who.ExpiresAt
	}
	return who.ExpiresAt.Add(time.Duration(outlives) * time.Second)
}

// workload says that a provider proves ServiceAccounts.
func workload(s *snapshot.Snapshot, provider string) bool {
	return slices.ContainsFunc(s.IdentityProviders, func(p snapshot.IdentityProvider) bool { return p.Name == provider && p.Kubernetes != nil })
}

// reviewed says that a provider has its tokens reviewed by an API server.
func reviewed(s *snapshot.Snapshot, provider string) bool {
	return slices.ContainsFunc(s.IdentityProviders, func(p snapshot.IdentityProvider) bool {
		return p.Name == provider && p.Kubernetes != nil && p.Kubernetes.Verification != snapshot.VerifyIssuerKeys
	})
}

// expired says that a caller's proof is over, so that he can open no session.
func expired(who *identity.Principal, now time.Time) bool {
	return !who.ExpiresAt.IsZero() && !who.ExpiresAt.After(now)
}

// sessionEnd is the earliest of the instants that bound a session.
func sessionEnd(now time.Time, st *view, p *identity.Principal) time.Time {
	return earliest(now, proofEnd(st.snapshot, p, st.limits.outlives), int64(st.snapshot.Session.MaxDurationSeconds), st.limits.session.most)
}

// earliest is the end, or sooner where so many seconds from now are over before; zero is
// no bound.
func earliest(now, end time.Time, bounds ...int64) time.Time {
	for _, seconds := range bounds {
		if seconds <= 0 {
			continue
		}
		if bound := now.Add(time.Duration(seconds) * time.Second); end.IsZero() || bound.Before(end) {
			end = bound
		}
	}
	return end
}
