// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// Random sets, callers, circumstances and operations use few words, so that they meet.

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func chance(random *rand.Rand, oneIn int) bool { return random.IntN(oneIn) == 0 }

func some(random *rand.Rand, least int, from ...string) []string {
	list := slices.Clone(from)
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:least+random.IntN(len(list)-least+1)]
	slices.Sort(list)
	return list
}

// zones change their clocks by an hour, by half of one, at midnight, or never; some are
// off by parts of an hour.
func zones() []string {
	return []string{
		"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Kathmandu",
		"America/St_Johns", "Pacific/Chatham", "Africa/Cairo", "Pacific/Kiritimati", "Pacific/Marquesas",
	}
}

// changes are instants at which clocks go forward or back, in 2026.
func changes() []time.Time {
	return []time.Time{
		time.Date(2026, time.March, 29, 1, 0, 0, 0, time.UTC),      // Berlin, forward
		time.Date(2026, time.October, 25, 1, 0, 0, 0, time.UTC),    // Berlin, back
		time.Date(2026, time.March, 8, 7, 0, 0, 0, time.UTC),       // New York, forward
		time.Date(2026, time.November, 1, 6, 0, 0, 0, time.UTC),    // New York, back
		time.Date(2026, time.October, 3, 15, 30, 0, 0, time.UTC),   // Lord Howe, forward
		time.Date(2026, time.April, 4, 15, 0, 0, 0, time.UTC),      // Lord Howe, back
		time.Date(2026, time.April, 23, 22, 0, 0, 0, time.UTC),     // Cairo, forward at midnight
		time.Date(2026, time.September, 26, 14, 0, 0, 0, time.UTC), // Chatham, forward
	}
}

func randomTime(random *rand.Rand) time.Time {
	if chance(random, 2) {
		around := time.Duration(random.Int64N(int64(6*time.Hour))) - 3*time.Hour
		return pick(random, changes()...).Add(around)
	}
	return noon.Add(time.Duration(random.Int64N(int64(14 * 24 * time.Hour))))
}

func randomAt(random *rand.Rand) policy.Circumstances {
	at := policy.Circumstances{Time: randomTime(random), SharedCredential: chance(random, 2)}
	if client := pick(random, "", "10.1.2.3", "10.200.0.1", "192.0.2.7", "2001:db8::7", "2001:db8:ffff::1", "::ffff:10.1.2.3"); client != "" {
		at.Client = netip.MustParseAddr(client)
	}
	return at
}

func randomCondition(random *rand.Rand) policy.Condition {
	if chance(random, 5) {
		return policy.Condition{SharedCredential: true}
	}
	if chance(random, 2) {
		return policy.Condition{Sources: some(random, 1, "10.0.0.0/8", "10.1.2.0/25", "192.0.2.7/32", "2001:db8::/32", "2001:db8::4/126", "0.0.0.0/0", "::/0")[:1]}
	}
	s := &policy.Schedule{TimeZone: pick(random, zones()...)}
	for range 1 + random.IntN(2) {
		w := policy.TimeWindow{Start: random.IntN(1440), End: random.IntN(1441)}
		if chance(random, 3) {
			w.Start, w.End = pick(random, 0, 120, 150, 1320), pick(random, 0, 120, 180, 1440)
		}
		for day := range time.Weekday(7) {
			if !chance(random, 3) {
				w.Days = append(w.Days, day)
			}
		}
		if len(w.Days) == 0 {
			w.Days = []time.Weekday{time.Sunday}
		}
		s.Windows = append(s.Windows, w)
	}
	return policy.Condition{Schedule: s}
}

func randomPart(random *rand.Rand) policy.Subject {
	s := policy.Subject{Kind: pick(random, policy.User, policy.Group, policy.User, policy.Group, policy.Claim, policy.Human, policy.Workload,
		policy.Agent, policy.Everyone, policy.Actor, policy.OnBehalfOfUser, policy.OnBehalfOfGroup)}
	switch s.Kind {
	case policy.User, policy.Group, policy.OnBehalfOfUser, policy.OnBehalfOfGroup:
		s.Name = pick(random, "alice", "bob", "both")
	case policy.Actor:
		s.Name = pick(random, "bot", "cron", "alice")
	case policy.Claim:
		s.Name = pick(random, "team", "repo")
		s.Values = some(random, 1, "red", "blu*", "*", "shop/*", "*/web", "s*p/*b", "3")[:1]
	}
	return s
}

func randomSubject(random *rand.Rand) policy.Subject {
	s := randomPart(random)
	if chance(random, 4) {
		s = policy.Subject{Kind: policy.AllOf}
		for range 2 + random.IntN(2) {
			s.All = append(s.All, randomPart(random))
		}
	}
	s.Provider = pick(random, "", "", "", "corp", "partner")
	return s
}

func randomSubjects(random *rand.Rand, most int) []policy.Subject {
	var subjects []policy.Subject
	for range 1 + random.IntN(most) {
		subjects = append(subjects, randomSubject(random))
	}
	return subjects
}

func randomRule(random *rand.Rand, name string, effects ...policy.Effect) policy.Rule {
	r := policy.Rule{
		Name: name, Effect: pick(random, effects...), Message: pick(random, "", "", "one", "two"),
		Actions: []string{pick(random, "select", "sel*", "*", "*", "update", "*date", "u*k*n", "unknown")},
	}
	if chance(random, 4) {
		r.Actions = some(random, 2, "select", "s*t", "*", "unknown")
	}
	if chance(random, 2) {
		r.Resources = some(random, 1, "a.x", "a.*", "*.y", "*", "b*y", "")
	}
	if r.Effect == policy.Deny || chance(random, 4) {
		r.Properties = some(random, 1, "unboundedWrite", "multiStatement")
	}
	if r.Effect == policy.RequireApproval {
		r.Approval = &policy.ApprovalTerms{
			Approvers: []policy.Subject{{Kind: "Group", Name: "leads"}}, Minimum: 1 + random.Int32N(2), TimeoutSeconds: 60,
		}
	}
	return r
}

func randomMask(random *rand.Rand, name string) policy.Mask {
	m := policy.Mask{Name: name, Fields: []string{"*.email"}, Method: policy.Method{Type: policy.Null}}
	if chance(random, 2) {
		m.Exempt = randomSubjects(random, 2)
	}
	return m
}

func randomPolicy(random *rand.Rand, name string) policy.Policy {
	p := policy.Policy{
		Name: name, UID: "uid-" + name, Generation: 1, Audit: chance(random, 5), Cluster: chance(random, 5), Subjects: randomSubjects(random, 4),
	}
	for chance(random, 4) {
		p.When = append(p.When, randomCondition(random))
	}
	effects := []policy.Effect{policy.Allow, policy.Allow, policy.Allow, policy.Allow, policy.Allow, policy.Allow, policy.RequireApproval, policy.Deny}
	if p.Cluster {
		effects = effects[6:]
	}
	for j := range random.IntN(6) {
		p.Rules = append(p.Rules, randomRule(random, fmt.Sprintf("r%d", j), effects...))
	}
	for j := range random.IntN(3) {
		p.Masks = append(p.Masks, randomMask(random, fmt.Sprintf("m%d", j)))
	}
	if chance(random, 3) {
		p.Limits = &policy.Limits{RowsPerStatement: 1 + random.Int64N(9)}
	}
	if chance(random, 4) {
		p.TargetRole = pick(random, "reader", "writer")
	}
	return p
}

func randomSet(random *rand.Rand) policy.Set {
	var set policy.Set
	for i := range random.IntN(10) {
		set.Policies = append(set.Policies, randomPolicy(random, fmt.Sprintf("p%d", i)))
	}
	return set
}

func randomCaller(random *rand.Rand) identity.Principal {
	who := identity.Principal{
		Provider: pick(random, "corp", "partner", ""), UserName: pick(random, "alice", "bob", "both", "eve"),
		Groups: some(random, 0, "alice", "both", "leads"), Kind: pick(random, identity.Human, identity.Human, identity.Workload, identity.Agent),
	}
	if chance(random, 2) {
		who.Claims = []identity.Claim{
			{Name: "repo", Values: some(random, 0, "shop/web", "shop/x", "bank/web")},
			{Name: "team", Values: []string{pick(random, "red", "blue", "3")}},
		}
	}
	if chance(random, 3) {
		who = delegate(random, who)
	}
	return who
}

// delegate is somebody who acts for a caller.
func delegate(random *rand.Rand, who identity.Principal) identity.Principal {
	who.Delegation = []identity.Actor{{Subject: pick(random, "bot", "cron", "alice")}}
	if chance(random, 3) {
		who.Delegation = append(who.Delegation, identity.Actor{Issuer: "https://id.example.com", Subject: pick(random, "bot", "cron")})
	}
	return who
}

func randomOperation(random *rand.Rand) policy.Operation {
	var o policy.Operation
	for range pick(random, 0, 1, 1, 1, 2, 2, 3) {
		o.Accesses = append(o.Accesses, policy.Access{
			Action: pick(random, "select", "update", "select", "update", "select", "unknown"), Resource: pick(random, "", "a.x", "a.y", "b.y", "b.x"),
			Indirect: chance(random, 3),
		})
	}
	o.Properties = some(random, 0, "unboundedWrite", "multiStatement", "other")
	return o
}
