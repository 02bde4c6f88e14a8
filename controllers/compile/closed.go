// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// denyAll refuses every operation. Most refusals come earlier: a caller without
// any rule that allows is refused the session.
func denyAll(name, uid string, generation int64, message string) policy.Policy {
	return policy.Policy{
		Name: name, UID: uid, Generation: generation, Subjects: []policy.Subject{{Kind: policy.Everyone}},
		Rules: []policy.Rule{{Name: "closed", Effect: policy.Deny, Actions: []string{"*", "unknown"}, Message: message}},
	}
}

// Closed makes of the snapshot that proxies run on one that lets nobody through.
// It is what is published for a Connection that is not in order.
func Closed(previous snapshot.Snapshot, message string) snapshot.Snapshot {
	previous.Policies = policy.Set{Policies: []policy.Policy{denyAll("doorward-closed", "", 0, message)}}
	return previous
}

// Narrow makes of the previous snapshot one that allows at most what both the
// previous and the next allow, without taking anything from next that could make
// it larger. It is what is published where next does not fit.
//
// A policy stays while next holds it unchanged. Of any other, the rules that
// restrict, the masks, the limits and the role stay and what it allowed goes. Where next restricts by
// something that previous does not hold, or the Connection itself changed, the
// result is closed.
func Narrow(previous, next snapshot.Snapshot) snapshot.Snapshot {
	if !equal(settings(previous), settings(next)) || rekeyed(previous.MaskKey, next.MaskKey) {
		return Closed(previous, "closed because the snapshot of the changed Connection is too large; see its condition SnapshotPublished")
	}
	before := map[string]policy.Policy{}
	for _, p := range previous.Policies.Policies {
		before[setKey(p)] = p
	}
	after := map[string]policy.Policy{}
	for _, p := range next.Policies.Policies {
		after[setKey(p)] = p
		if !equal(before[setKey(p)], p) && narrows(p) {
			return Closed(previous, "closed because the snapshot with the changed policies is too large; see the Connection's condition SnapshotPublished")
		}
	}
	narrowed := previous
	narrowed.Policies = policy.Set{Policies: []policy.Policy{}}
	for _, p := range previous.Policies.Policies {
		if !equal(after[setKey(p)], p) {
			if !narrows(p) {
				continue
			}
			if p.Rego != "" { // what it lets through cannot be told from what it refuses
				return Closed(previous, "closed because the snapshot without a changed module is too large; see the Connection's condition SnapshotPublished")
			}
			if p.Rules = restrictions(p.Rules); !narrows(p) {
				continue
			}
		}
		narrowed.Policies.Policies = append(narrowed.Policies.Policies, p)
	}
	narrowed.IdentityProviders = slices.DeleteFunc(slices.Clone(previous.IdentityProviders), func(idp snapshot.IdentityProvider) bool {
		return !slices.ContainsFunc(next.IdentityProviders, func(other snapshot.IdentityProvider) bool { return equal(idp, other) })
	})
	narrowed.Login = narrowLogin(previous.Login, next.Login)
	return narrowed
}

// rekeyed says that both snapshots have keys of masks, and not the same.
func rekeyed(previous, next snapshot.MaskKey) bool {
	return !previous.IsZero() && !next.IsZero() && !previous.Equal(next)
}

// restrictions are the rules without those that allow. What could be approved is
// refused, since next may not offer that any more.
func restrictions(rules []policy.Rule) []policy.Rule {
	kept := slices.DeleteFunc(slices.Clone(rules), func(r policy.Rule) bool { return r.Effect == policy.Allow })
	for i := range kept {
		kept[i].Effect, kept[i].Approval = policy.Deny, nil
	}
	return kept
}

// settings is a snapshot without what Narrow treats apart.
func settings(s snapshot.Snapshot) snapshot.Snapshot {
	s.Revision, s.Time = 0, time.Time{}
	s.Policies, s.IdentityProviders, s.Login, s.MaskKey = policy.Set{}, nil, snapshot.Login{}, snapshot.MaskKey{}
	return s
}

func narrows(p policy.Policy) bool {
	if p.Audit {
		return false
	}
	return p.Rego != "" || len(p.Masks) > 0 || p.Limits != nil || p.TargetRole != "" || slices.ContainsFunc(p.Rules, func(r policy.Rule) bool { return r.Effect != policy.Allow })
}

// Sum tells snapshots apart by all but revision and time. It says nothing of the key of
// masks that goes into it.
type Sum [sha256.Size]byte

// Digest sums a snapshot up, in the encoded form, which is what proxies see.
func Digest(s snapshot.Snapshot) (Sum, error) {
	s.Revision, s.Time = 0, time.Time{}
	encoded, err := json.Marshal(s)
	if err != nil {
		return Sum{}, fmt.Errorf("cannot encode snapshot: %w", err)
	}
	if !s.MaskKey.IsZero() {
		key := s.MaskKey.Bytes()
		encoded = append(encoded, key[:]...)
	}
	return sha256.Sum256(encoded), nil
}

// equal compares by the encoded form, which is what proxies see, but for the key
// of masks.
func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
