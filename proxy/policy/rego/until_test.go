// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// same says whether two standings come to the same.
func same(a, b *standing) bool {
	audits := a.audited == nil && b.audited == nil ||
		a.audited != nil && b.audited != nil && slices.Equal(a.audited.class, b.audited.class)
	return audits && slices.Equal(a.enforced.class, b.enforced.class) &&
		slices.Equal(a.enforced.connects, b.enforced.connects) && maps.Equal(a.exempt, b.exempt)
}

// instants are some between two times, with both ends of the half-open interval.
func instants(random *rand.Rand, from, until time.Time) []time.Time {
	list := []time.Time{from, until.Add(-1)}
	for range 4 {
		list = append(list, from.Add(time.Duration(random.Int64N(int64(until.Sub(from))))))
	}
	return list
}

// TestUntil: a standing does not change before its Until, wherever clocks are and
// whenever they go forward or back; and where Until is never, it does not change at all.
func TestUntil(t *testing.T) {
	random := rand.New(rand.NewPCG(71, 73))
	scheduledOnes, changed, never := 0, 0, 0
	for range rounds(300) {
		set := randomSet(random)
		e := engine(t, set)
		for range 6 {
			who, at := randomCaller(random), randomAt(random)
			now := mustStand(t, e, who, at)
			if now.Until().IsZero() {
				never++
				then := policy.Circumstances{Time: randomTime(random), Client: at.Client, SharedCredential: at.SharedCredential}
				if !same(now, mustStand(t, e, who, then)) {
					t.Fatalf("%+v at %s and at %s: the standing changed and has no Until, set %+v", who, at.Time, then.Time, set)
				}
				continue
			}
			scheduledOnes++
			if !now.Until().After(at.Time) {
				t.Fatalf("Until = %s, want it after %s", now.Until(), at.Time)
			}
			for _, then := range instants(random, at.Time, now.Until()) {
				if !same(now, mustStand(t, e, who, policy.Circumstances{Time: then, Client: at.Client, SharedCredential: at.SharedCredential})) {
					t.Fatalf("%+v at %s and at %s: the standing changed before %s, set %+v", who, at.Time, then, now.Until(), set)
				}
			}
			if !same(now, mustStand(t, e, who, policy.Circumstances{Time: now.Until().Add(3 * time.Hour), Client: at.Client, SharedCredential: at.SharedCredential})) {
				changed++
			}
		}
	}
	if long() && (scheduledOnes == 0 || changed == 0 || never == 0) {
		t.Errorf("the sample is one-sided: %d with a schedule, %d of them changed, %d without", scheduledOnes, changed, never)
	}
}

// TestUntilAroundChangesOfClocks follows a window through each change of the clocks of a
// year, as a session does: from each Until to the next. Whoever asks anew at each Until is
// at every minute right.
func TestUntilAroundChangesOfClocks(t *testing.T) {
	for _, zone := range append(zones(), "Asia/Tehran", "Asia/Yangon", "America/Santiago", "Antarctica/Troll") {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			location, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
			for _, at := range transitions(begin, location) {
				local := at.In(location)
				minute := (local.Hour()*60 + local.Minute() + 1439) % 1440
				followWindow(t, policy.Schedule{TimeZone: zone, Windows: []policy.TimeWindow{
					{Days: []time.Weekday{local.Weekday()}, Start: (minute + 1) % 1440, End: (minute + 17) % 1440},
					{Days: []time.Weekday{local.Add(-time.Hour).Weekday()}, Start: (minute + 1415) % 1440, End: (minute + 1425) % 1440},
				}}, at)
			}
		})
	}
}

// transitions are the changes of a zone's clocks within a year; where there are none, the
// year's beginning.
func transitions(begin time.Time, zone *time.Location) []time.Time {
	var list []time.Time
	for at := begin; ; {
		_, end := at.In(zone).ZoneBounds()
		if end.IsZero() || end.After(begin.AddDate(1, 0, 0)) {
			break
		}
		list = append(list, end)
		at = end
	}
	if list == nil {
		list = append(list, begin)
	}
	return list
}

func followWindow(t *testing.T, s policy.Schedule, around time.Time) {
	t.Helper()
	p := policy.Policy{
		Name: "p", Subjects: []policy.Subject{{Kind: policy.User, Name: "alice"}}, When: []policy.Condition{{Schedule: &s}},
		Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"select"}}},
	}
	e := engine(t, policy.Set{Policies: []policy.Policy{p}})
	from, to := around.Add(-70*time.Minute-17*time.Second), around.Add(70*time.Minute)
	current := mustStand(t, e, caller("alice"), policy.Circumstances{Time: from})
	opened := 0
	for at := from; at.Before(to); at = at.Add(20 * time.Second) {
		if !at.Before(current.Until()) {
			current = mustStand(t, e, caller("alice"), policy.Circumstances{Time: current.Until()})
		}
		open := isOpen(s, at)
		if got := len(current.enforced.granting) > 0; got != open {
			t.Fatalf("at %s the standing of %s holds: granting %t, want %t", at, current.Until(), got, open)
		}
		if open {
			opened++
		}
	}
	if opened == 0 {
		t.Errorf("the window was never open around %s", around)
	}
}

// TestDecideOver: a standing whose time is over decides nothing.
func TestDecideOver(t *testing.T) {
	p := policy.Policy{
		Name: "p", Subjects: []policy.Subject{{Kind: policy.User, Name: "alice"}},
		When: []policy.Condition{{Schedule: &policy.Schedule{TimeZone: "UTC", Windows: []policy.TimeWindow{
			{Days: []time.Weekday{noon.Weekday()}, Start: 0, End: 12*60 + 1},
		}}}},
		Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"select"}}},
	}
	s := stands(t, engine(t, policy.Set{Policies: []policy.Policy{p}}), caller("alice"))
	until := noon.Add(time.Minute)
	if !s.Until().Equal(until) {
		t.Errorf("Until = %s, want %s", s.Until(), until)
	}
	if got, err := s.Decide(t.Context(), op("select"), until.Add(-1)); err != nil || got.Effect != policy.Allow {
		t.Errorf("Decide before Until = %v, %v, want Allow", got.Effect, err)
	}
	for _, late := range []time.Duration{0, 1, time.Hour} {
		if got, err := s.Decide(t.Context(), op("select"), until.Add(late)); !errors.Is(err, errOver) || got.Effect == policy.Allow {
			t.Errorf("Decide %s after Until = %v, %v, want %v", late, got.Effect, err, errOver)
		}
	}
	// What was kept in the cache does not outlive it either, and nobody else's time ends.
	other := stands(t, engine(t, shop()), caller("alice", "analysts"))
	if !other.Until().IsZero() {
		t.Errorf("Until = %s for a caller without schedules, want never", other.Until())
	}
	if _, err := other.Decide(t.Context(), op("select public.orders"), until.AddDate(10, 0, 0)); err != nil {
		t.Errorf("Decide = %v, want an answer at any time", err)
	}
}
