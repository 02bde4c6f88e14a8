// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// loginEvery is the pace of new logins during an outage.
const loginEvery = 250 * time.Millisecond

// askBound is how soon a caller must hear that no approval can be had.
var askBound = within(5 * time.Second)

// TestAPIOutage takes the API server away from manager and proxy, in both ways
// in which a server can go away.
func TestAPIOutage(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		leave  func() error
	}{
		"Closed": {
			reason: "connections are cut and refused, as where the API server has crashed",
			leave:  world.Control.CloseAPI,
		},
		"BlackHoled": {
			reason: "connections stay open and nothing arrives, as where a network is partitioned",
			leave:  func() error { world.Control.BlackHole(); return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			surviveOutage(t, tc.leave)
		})
	}
}

// expected is what the AuditSession of a session must show in the end.
type expected struct {
	*session
	total, denied int64
}

func surviveOutage(t *testing.T, leave func() error) {
	t.Helper()
	live, leaver := login(t, alice), login(t, alice)
	live.Must(t, "SELECT count(*) FROM orders")
	leaver.Must(t, "SELECT 1")
	terminal := startPSQL(t, alice)
	if _, err := terminal.ask("SELECT 1;"); err != nil {
		t.Fatal(err)
	}
	long := outage(t)
	t.Cleanup(func() {
		if err := world.Control.Resume(); err != nil {
			t.Error(err)
		}
	})
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	leaver.Leave(t)
	sessions := []expected{{session: leaver, total: 1}}

	marker := fmt.Sprintf("outage-%d", began.UnixNano())
	asked := refusedApproval(t, live, marker)
	if asked > askBound {
		t.Errorf("the refusal took %s, want at most %s", asked, askBound)
	}
	queries, slowest := int64(1), time.Duration(0)
	pace := time.NewTicker(loginEvery)
	defer pace.Stop()
	// However long the refusal took, there is a round.
	for queries == 1 || time.Since(began) < long {
		<-pace.C
		step := time.Now()
		live.Must(t, "SELECT count(*) FROM orders")
		if line, err := terminal.ask("SELECT count(*) FROM orders;"); err != nil || line != "200" {
			t.Fatalf("psql's session does not go on: %q, %v", line, err)
		}
		fresh := login(t, alice)
		fresh.Must(t, "SELECT count(*) FROM customers")
		if _, err := fresh.Run(t.Context(), "DROP TABLE orders"); err == nil {
			t.Fatal("DROP went through")
		}
		fresh.Leave(t)
		sessions = append(sessions, expected{session: fresh, total: 2, denied: 1})
		queries++
		slowest = max(slowest, time.Since(step))
	}
	if n := timesExecuted(t, marker); n != 0 {
		t.Errorf("the target saw the refused statement %d times, want 0", n)
	}
	if err := world.Control.Resume(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	h, turnedAway := awaitHold(t, live, marker)
	askable := time.Since(back)
	awaitSessions(t, sessions)
	shown := time.Since(back)
	h.approve(t, "bob", "dba")
	h.ran(t)
	approved := time.Since(back)
	if err := terminal.quit(); err != nil {
		t.Errorf("psql: %v", err)
	}
	live.Leave(t)
	// The approved and the refused UPDATE, what was refused while approvals were
	// not yet back, and the rest.
	awaitSessions(t, []expected{{session: live, total: queries + 2 + turnedAway, denied: 1 + turnedAway}})
	t.Logf("away %s: %d new logins, slowest round of two queries, login, query and refusal %s; approval refused after %s; "+
		"after the return an approval could be asked for after %s, the AuditSessions were complete after %s, the approved statement had run after %s",
		back.Sub(began).Round(time.Second), len(sessions)-1, slowest.Round(time.Millisecond), asked.Round(time.Millisecond),
		askable.Round(time.Millisecond), shown.Round(time.Millisecond), approved.Round(time.Millisecond))
}

// refusedApproval runs what needs approval where none can be had, and returns how
// soon it was refused.
func refusedApproval(t *testing.T, s *session, marker string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	began := time.Now()
	_, err := s.Run(ctx, "UPDATE orders SET status = '"+marker+"' WHERE id = 1")
	wants(t, refusal(t, err), codeCannotConnectNow, "the approval could not be asked for", "Try again")
	return time.Since(began)
}

// awaitSessions waits until the AuditSessions show the ends and the counts.
func awaitSessions(t *testing.T, sessions []expected) {
	t.Helper()
	await(t, "AuditSessions from the log", func(ctx context.Context) error {
		all, err := world.AuditSessions(ctx)
		if err != nil {
			return err
		}
		for _, s := range sessions {
			object := all[s.Local]
			if object == nil {
				return fmt.Errorf("no AuditSession of client %s", s.Local)
			}
			counts := object.Status.Operations
			if object.Status.Phase != v1alpha1.SessionEnded || counts == nil || counts.Total != s.total || counts.Denied != s.denied ||
				counts.Allowed != s.total-s.denied || object.Spec.Actor.Username != alice.User {
				return fmt.Errorf("AuditSession %s is %s with %+v, want Ended with %d operations, %d denied",
					object.Name, object.Status.Phase, counts, s.total, s.denied)
			}
		}
		return nil
	})
}

// awaitHold runs what needs approval until it can be asked for and a manager that has
// proof of enforcement has seen the request. It returns how often it was refused before.
func awaitHold(t *testing.T, s *session, marker string) (h *held, refused int64) {
	t.Helper()
	statement := "UPDATE orders SET status = '" + marker + "' WHERE id = 1"
	await(t, "a request for approval", func(context.Context) error {
		if h = hold(t, s, statement); h == nil {
			refused++
			return errors.New("no approval can be asked for")
		}
		if phase := h.judged(t); phase != v1alpha1.ApprovalPending {
			refused++
			return fmt.Errorf("the request became %s: %v", phase, h.answer(t)) //nolint:errorlint // it may be nil
		}
		return nil
	})
	return h, refused
}
