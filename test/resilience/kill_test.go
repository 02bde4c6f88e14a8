// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
)

const (
	killRounds = 3
	loaders    = 4
	loadTime   = 700 * time.Millisecond
)

var mark = regexp.MustCompile(`mark-\d+-\d+-\d+`)

// TestKillUnderLoad kills the proxy with SIGKILL while it is busy: nothing was
// executed at the target that is not on record (promise 2; checklist 42), and
// the sessions that were cut are closed in their AuditSessions afterwards.
func TestKillUnderLoad(t *testing.T) {
	givePolicy(t, policyOf("load", subjects("loader"), talk, allow("write", []string{"update", "select"}, []string{"public.orders"})))
	var cut []*session
	for round := range killRounds {
		var sessions []*session
		for range loaders {
			sessions = append(sessions, login(t, caller{user: "loader"}))
		}
		var running sync.WaitGroup
		for i, s := range sessions {
			running.Go(func() { load(s, round, i) })
		}
		// The kill must fall in the middle of work, wherever that is.
		timer := time.NewTimer(loadTime + time.Duration(round)*37*time.Millisecond)
		<-timer.C
		if err := world.Proxy().Kill(); err != nil {
			t.Fatal(err)
		}
		running.Wait()
		startProxy(t)
		cut = append(cut, sessions...)
	}
	closed := await(t, "the ends of the sessions that were cut", func(ctx context.Context) error {
		all, err := auditSessions(ctx)
		if err != nil {
			return err
		}
		for _, s := range cut {
			object := all[s.local]
			if object == nil {
				return fmt.Errorf("no AuditSession of client %s", s.local)
			}
			if object.Status.Phase != v1alpha1.SessionEnded {
				return fmt.Errorf("AuditSession %s is %s, want Ended", object.Name, object.Status.Phase)
			}
		}
		return nil
	})
	seen := executed(t, mark)
	recorded := awaitRecorded(t)
	missing := 0
	for text := range seen {
		if !recorded[text] {
			missing++
			t.Errorf("the target executed %q, which is not on record", text)
		}
	}
	if len(seen) < killRounds*loaders {
		t.Errorf("the target executed %d statements, too few to show anything", len(seen))
	}
	t.Logf("%d times SIGKILL under load of %d sessions: %d statements executed by the target's log, %d decided on record, %d executed but not recorded; "+
		"AuditSessions of all %d sessions closed %s after the last start", killRounds, loaders, len(seen), len(recorded), missing, len(cut), closed.Round(time.Millisecond))
}

// load writes until its session is cut, each statement with a mark of its own.
func load(s *session, round, worker int) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for i := 0; ; i++ {
		statement := fmt.Sprintf("UPDATE orders SET status = 'mark-%d-%d-%d' WHERE id = %d", round, worker, i, worker+1)
		if _, err := s.run(ctx, statement); err != nil {
			return
		}
	}
}

// awaitRecorded returns the marks on record once the sink has all of the log up
// to the last start.
func awaitRecorded(t *testing.T) map[string]bool {
	t.Helper()
	recorded := map[string]bool{}
	await(t, "the records in the sink", func(context.Context) error {
		all, err := records()
		if err != nil {
			return err
		}
		starts := 0
		clear(recorded)
		for _, document := range all {
			switch {
			case document.Type == record.ProxyStart:
				starts++
			case document.Type == record.OperationDecided && document.Operation != nil && document.Decision.Effect == "Allow":
				if text := mark.FindString(document.Operation.Statement); text != "" {
					recorded[text] = true
				}
			}
		}
		recoveries := 0
		for _, document := range all {
			if document.Type == record.Recovery {
				recoveries++
			}
		}
		if recoveries < killRounds || starts <= killRounds {
			return fmt.Errorf("%d recoveries and %d starts on record, want at least %d and %d", recoveries, starts, killRounds, killRounds+1)
		}
		return whole(all)
	})
	return recorded
}

// TestHeldOperationDiesWithItsProxy kills the proxy while it holds an operation:
// no approval brings it back (checklist 35).
func TestHeldOperationDiesWithItsProxy(t *testing.T) {
	s := login(t, alice)
	statement, text := update(t, 50)
	h := mustHold(t, s, statement)
	if err := world.Proxy().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.answer(t); err == nil {
		t.Error("the caller of a killed proxy was told that the statement ran")
	}
	h.approve(t, "bob", "dba")
	h.phase(t, v1alpha1.ApprovalApproved)
	startProxy(t)
	began := time.Now()
	object := h.phase(t, v1alpha1.ApprovalVoid)
	if condition := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionApproved); condition == nil || condition.Reason != v1alpha1.ReasonHolderGone {
		t.Errorf("condition Approved is %+v, want reason %s", condition, v1alpha1.ReasonHolderGone)
	}
	never(t, text)
	t.Logf("the approval of an operation whose proxy was killed is void %s after the proxy's return", time.Since(began).Round(time.Millisecond))
}
