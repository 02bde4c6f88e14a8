// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// settle is what must remain of a minute for everything to be in place when it ends.
const settle = 20 * time.Second

// schedule measures how late the bounds of a schedule are noticed: windows are open every
// other minute, from before the first session.
func schedule(t *testing.T, size sizes, out *results) {
	t.Helper()
	boundary := time.Now().Truncate(time.Minute).Add(time.Minute)
	if time.Until(boundary) < settle {
		boundary = boundary.Add(time.Minute)
	}
	hours := stack.Policy("live-hours", stack.Users("hanna", "ivan"), talk, readOrders)
	hours.Spec.When = []v1alpha1.PolicyCondition{{Type: v1alpha1.PolicyConditionSchedule, Schedule: &v1alpha1.Schedule{TimeZone: "UTC", Windows: windows(boundary, size.boundaries)}}}
	stacktest.Give(t, world, hours, stack.Policy("live-talk", stack.Users("hanna"), talk))
	var probes []*probe
	for range max(1, size.sessions/4) {
		probes = append(probes, startProbe(t, world.Proxy(), issuer.Request{User: "hanna"}, ordersCount))
	}
	var opened, closed, ended series
	for i := range size.boundaries {
		if i%2 == 0 {
			ends := make(chan answer, size.sessions)
			for range size.sessions {
				s := stacktest.Login(t, world, world.Proxy(), issuer.Request{User: "ivan"})
				go func() { ends <- idle(s) }()
			}
			awaitAll(t, probes, true)
			closed.add(boundary, notBefore(t, boundary, awaitAll(t, probes, false))...)
			for range size.sessions {
				end := <-ends
				var said *pgconn.PgError
				if !errors.As(end.err, &said) {
					t.Fatalf("an idle session ended without a word: %v", end.err)
				}
				ended.add(boundary, notBefore(t, boundary, []time.Time{end.at})...)
			}
		} else {
			opened.add(boundary, notBefore(t, boundary, awaitAll(t, probes, true))...)
		}
		boundary = boundary.Add(time.Minute)
	}
	out.add(t, "schedule ends", "a statement is refused", closed)
	out.add(t, "", "an idle session is ended", ended)
	out.add(t, "schedule begins", "a statement is let through", opened)
}

// notBefore fails the test where something happened before its time.
func notBefore(t *testing.T, boundary time.Time, all []time.Time) []time.Time {
	t.Helper()
	for _, at := range all {
		if at.Before(boundary) {
			t.Errorf("it happened at %s, the schedule says %s", at, boundary)
		}
	}
	return all
}

// windows are open every other minute; the first is over at the boundary.
func windows(boundary time.Time, boundaries int) (all []v1alpha1.TimeWindow) {
	days := []v1alpha1.Weekday{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	for i := 0; i <= boundaries; i += 2 {
		end := boundary.Add(time.Duration(i) * time.Minute).UTC()
		start := end.Add(-time.Minute)
		if i == 0 {
			start = start.Add(-time.Minute)
		}
		all = append(all, v1alpha1.TimeWindow{Days: days, Start: start.Format("15:04"), End: end.Format("15:04")})
	}
	return all
}

// idle waits for the end of a session that does nothing.
func idle(s *stacktest.Session) answer {
	ctx, cancel := context.WithTimeout(context.Background(), 2*stacktest.Timeout)
	defer cancel()
	err := s.WaitForNotification(ctx)
	return answer{err: err, at: time.Now()}
}
