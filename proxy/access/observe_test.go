// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// diary is an Observer that writes down what it is told, without times.
type diary struct {
	mu    sync.Mutex
	lines []string
	took  []Took
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func steps(l *Login) (text string) {
	for _, s := range l.Steps {
		text += " " + s.Name
		if s.Reason != "" {
			text += "=" + string(s.Reason)
		}
	}
	return text
}

func (d *diary) Refused(l *Login, reason Reason) {
	d.note("refused %s %s %s:%s", l.Connection.Name, l.Client, reason, steps(l))
}

func (d *diary) Opened(l *Login, session string) Watcher {
	d.note("opened %s %s %t:%s", l.Connection.Name, l.Protocol, session != "", steps(l))
	return d
}

func (d *diary) Dialed(target snapshot.Target, _ time.Time, _ time.Duration, err error) {
	d.note("dialed %s: %v", target.Host, err != nil)
}

func (d *diary) Operation(o Observed) {
	text := fmt.Sprintf("operation %d %s: %s %s", o.ID, o.Operation.Kind, o.Effect, o.Reason)
	if o.Approval != nil {
		text += " approval " + o.Approval.Outcome
	}
	if o.Result != nil {
		text += fmt.Sprintf(" %s %d", o.Result.Outcome, o.Result.Rows)
	}
	d.mu.Lock()
	d.took = append(d.took, o.Took)
	d.mu.Unlock()
	d.note("%s", text)
}

func (d *diary) Closed(reason EndReason, _ time.Duration) { d.note("closed %s", reason) }

func (d *diary) wrote(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("what the observer was told (-want +got):\n%s", diff)
	}
}

func TestObserverIsToldOfTheRoad(t *testing.T) {
	w, d := newWorld(t, allowing), &diary{}
	w.gate.config.Observers = []Observer{d}
	grant := w.authorize()
	if err := grant.Dial(t.Context(), func(context.Context, Upstream) error { return nil }); err != nil {
		t.Fatal(err)
	}
	received := grant.Mark()
	ask := statement()
	ask.Received = received
	permit, err := grant.Decide(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if err := permit.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	permit.Done(record.Result{Outcome: "Succeeded", Rows: 3})
	refused := statement()
	refused.Refuse = &Refusal{Reason: ReasonProtocol, Message: "no"}
	if _, err := grant.Decide(t.Context(), refused); err == nil {
		t.Fatal("the refused operation was allowed")
	}
	grant.End(ErrTerminated)
	grant.Close("gone")
	d.wrote(
		t, "opened shop postgres true: authenticate authorize", "dialed db.example: false", "operation 1 SELECT: Allow  Succeeded 3",
		"operation 2 SELECT: Deny NeverForwarded", "closed Terminated",
	)
	if took := d.took[0]; took.Parse <= 0 || took.Decide <= 0 || took.Record <= 0 || took.Forward <= 0 || took.Answer <= 0 || took.Hold != 0 {
		t.Errorf("parts of an operation took %+v", took)
	}
}

func TestObserverIsToldOfRefusedLogins(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		rules  rules
		verify error
		want   []string
	}{
		"token": {
			reason: "who is not proven is refused for the credential", rules: allowing, verify: fmt.Errorf("%w: expired", identity.ErrRejected),
			want: []string{"refused shop 192.0.2.7:40000 CredentialRejected: authenticate=CredentialRejected"},
		},
		"issuer": {
			reason: "that nobody could be proven is not the caller's doing", rules: allowing, verify: errBoom,
			want: []string{"refused shop 192.0.2.7:40000 Unavailable: authenticate=Unavailable"},
		},
		"policy": {
			reason: "a proven caller that no policy names gets no session", rules: rules{},
			want: []string{"refused shop 192.0.2.7:40000 NotAllowed: authenticate authorize=NotAllowed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(t, tc.rules), &diary{}
			w.gate.config.Observers = []Observer{d}
			w.verifyErr = tc.verify
			caller, err := w.entry().Authenticate(t.Context(), identity.BearerToken("token"))
			if err == nil {
				_, err = caller.Authorize(t.Context())
			}
			if err == nil {
				t.Fatal("let in")
			}
			t.Log(tc.reason)
			d.wrote(t, tc.want...)
		})
	}
}

// TestObserverIsToldOnceOfAFailedHandshake: the protocol puts on record what StartTLS
// has told of already.
func TestObserverIsToldOnceOfAFailedHandshake(t *testing.T) {
	w, d := newWorld(t, allowing), &diary{}
	w.gate.config.Observers = []Observer{d}
	client, server := net.Pipe()
	go func() {
		_, _ = client.Write([]byte("no TLS at all\r\n"))
		_, _ = io.Copy(io.Discard, client)
	}()
	entry := w.entry()
	if _, err := entry.StartTLS(t.Context(), server); err == nil {
		t.Fatal("a handshake without a client succeeded")
	}
	_ = server.Close()
	if err := entry.Reject(t.Context(), "no TLS"); err != nil {
		t.Fatal(err)
	}
	d.wrote(t, "refused shop 192.0.2.7:40000 HandshakeFailed: tls=HandshakeFailed")
}

func TestObserverIsToldOfApprovals(t *testing.T) {
	w, d := newWorld(t, asking), &diary{}
	w.gate.config.Observers = []Observer{d}
	grant := w.authorize()
	ended := make(chan error, 1)
	go func() {
		_, err := grant.Decide(t.Context(), statement())
		ended <- err
	}()
	pending := <-w.approvals.asked
	if count, since := w.gate.Held(); count != 1 || since.IsZero() {
		t.Errorf("%d operations are held, the oldest since %v", count, since)
	}
	pending.outcome <- Outcome{State: Denied, Approvers: []string{"carol"}}
	if err := <-ended; err == nil {
		t.Fatal("a denied operation was allowed")
	}
	if count, _ := w.gate.Held(); count != 0 {
		t.Errorf("%d operations are held after the decision", count)
	}
	grant.Close("gone")
	d.wrote(t, "opened shop postgres true: authenticate authorize", "operation 1 SELECT: Deny ApprovalDenied approval Denied", "closed Closed")
	if d.took[0].Hold <= 0 {
		t.Error("the wait for the approval took no time")
	}
}

func TestReasonsOfEnds(t *testing.T) {
	for cause, want := range map[error]EndReason{
		nil: EndClosed, context.Canceled: EndClosed, errors.New("boom"): EndOther, fmt.Errorf("%w: why", ErrRevoked): EndRevoked, ErrStale: EndStale, errApprovalsUnknown: EndStale, fmt.Errorf("%w: why", ErrApprovalEnded): EndRevoked,
		ErrExpired: EndExpired, ErrIdle: EndIdle, ErrTerminated: EndTerminated, ErrDraining: EndDraining, fmt.Errorf("x: %w", ErrRecord): EndRecord,
	} {
		if got := endReason(cause); got != want {
			t.Errorf("%v ends with %q, want %q", cause, got, want)
		}
	}
}
