// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Observer is told what happens on the road of one Connection; figures and
// traces are made of that. It decides nothing. It is called on the road's own
// goroutines, from many at once, and must return at once; what it is pointed to
// it must not keep or change.
type Observer interface {
	// Refused is told of a client that got no session.
	Refused(login *Login, reason Reason)
	// Opened is told of a new session by its id, before its first operation, and
	// returns who is told of it from then on; nil for nobody.
	Opened(login *Login, session string) Watcher
}

// Watcher is told what happens in one session.
type Watcher interface {
	// Dialed is told of one attempt to reach a target and have it accepted.
	Dialed(target snapshot.Target, began time.Time, took time.Duration, err error)
	// Operation is told once of each operation, when all of it is known.
	Operation(observed Observed)
	// Closed is told once, at the end.
	Closed(reason EndReason, took time.Duration)
}

// Login is how a client came to its session, or to a refusal.
type Login struct {
	Connection snapshot.Connection
	// Protocol is empty before the first snapshot.
	Protocol string
	Client   string
	Accepted time.Time
	Steps    []Step
}

// Step is one step of a Login.
type Step struct {
	// Name is one of the Step constants.
	Name  string
	Began time.Time
	Took  time.Duration
	// Reason is why it failed; empty where it did not.
	Reason Reason
}

// The names of Steps.
const (
	StepTLS          = "tls"
	StepAuthenticate = "authenticate"
	StepAuthorize    = "authorize"
)

// Observed is what became of one operation. Its times follow each other; a part
// that did not take place took no time.
type Observed struct {
	// ID is the operation's number within its session, as in its records.
	ID        uint64
	Operation *record.Operation
	// Source is what the caller sent, as it came. It may hold secrets: nothing of
	// it may be shown.
	Source string
	// Effect is Deny where it was refused, RequireApproval where it was approved.
	Effect policy.Effect
	// Reason is why it was refused; empty where it was not.
	Reason Reason
	// Would is what policies in mode Audit would have made of it: an effect or
	// WouldMask; empty for the same.
	Would policy.Effect
	// Approval is what became of its request; nil where there was none.
	Approval *record.Approval
	// Masks is the number of masks in force for the answer.
	Masks int
	// Began is when the protocol had the operation in hand.
	Began time.Time
	Took  Took
	// Result is nil where it was not forwarded.
	Result *record.Result
}

// Took is how long the parts of an operation took.
type Took struct {
	// Parse is what the protocol needed to understand it.
	Parse time.Duration
	// Decide is the decision, with the check whether the answer can be masked.
	Decide time.Duration
	// Hold is the wait for an approval.
	Hold time.Duration
	// Record is the wait for the record of the decision.
	Record time.Duration
	// Forward lasts from then to the beginning of the answer.
	Forward time.Duration
	// Answer is the answer with its masking, to the last byte.
	Answer time.Duration
}

// EndReason is why a session ended, as one of few words; see record.Reason.
type EndReason = record.Reason

// The reasons for which sessions end.
const (
	EndClosed     = record.EndClosed
	EndRevoked    = record.EndRevoked
	EndStale      = record.EndStale
	EndExpired    = record.EndExpired
	EndIdle       = record.EndIdle
	EndTerminated = record.EndTerminated
	EndDraining   = record.EndDraining
	EndRecord     = record.EndRecord
	EndAdvisory   = record.EndAdvisory
	EndOther      = record.EndOther
)

// endReason is the word for the cause of a session's end.
func endReason(cause error) EndReason {
	for _, known := range [...]struct {
		err    error
		reason EndReason
	}{
		{ErrRevoked, EndRevoked},
		{ErrStale, EndStale},
		{ErrUnreviewed, EndStale},
		{errApprovalsUnknown, EndStale}, // before ErrApprovalEnded, which it is, too
		{ErrExpired, EndExpired},
		{ErrIdle, EndIdle},
		{ErrTerminated, EndTerminated},
		{ErrApprovalEnded, EndRevoked},
		{ErrDraining, EndDraining},
		{ErrRecord, EndRecord},
	} {
		if errors.Is(cause, known.err) {
			return known.reason
		}
	}
	if advice := (*Advice)(nil); errors.As(cause, &advice) {
		return EndAdvisory
	}
	if cause == nil || errors.Is(cause, context.Canceled) {
		return EndClosed
	}
	return EndOther
}

// login is what observers are told of an entry.
func (e *Entry) login() *Login {
	l := &Login{Connection: e.gate.config.Connection, Client: e.client, Accepted: e.accepted, Steps: e.steps}
	if st := e.gate.state.Load(); st != nil {
		l.Connection, l.Protocol = st.snapshot.Connection, st.snapshot.Protocol
	}
	return l
}

// step notes one step of the login; to be deferred.
func (e *Entry) step(name string, began time.Time, err error) {
	if len(e.gate.config.Observers) == 0 {
		return
	}
	step := Step{Name: name, Began: began, Took: time.Since(began)}
	if err != nil {
		step.Reason = ReasonHandshake
		if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			step.Reason = refusal.Reason
		}
	}
	e.steps = append(e.steps, step)
}

// turnedAway tells the observers that the client got no session.
func (e *Entry) turnedAway(reason Reason) {
	for _, o := range e.gate.config.Observers {
		o.Refused(e.login(), reason)
	}
}

// watch finds out who is told of a new session.
func (g *Grant) watch(e *Entry) {
	for _, o := range g.gate.config.Observers {
		if w := o.Opened(e.login(), g.id); w != nil {
			g.watchers = append(g.watchers, w)
		}
	}
}

// Mark is the present where somebody watches the session, else zero: what a
// protocol gives as Ask.Received.
func (g *Grant) Mark() time.Time {
	if len(g.watchers) == 0 {
		return time.Time{}
	}
	return time.Now()
}

// course is how far an operation has come; kept where somebody watches.
type course struct {
	began, last time.Time
	took        Took
}

// begin notes that the road has the operation in hand.
func (c *course) begin(received, now time.Time) {
	c.began, c.last = now, now
	if !received.IsZero() && received.Before(now) {
		c.began, c.took.Parse = received, now.Sub(received)
	}
}

// lap adds what has passed since the last call to a part.
func (p *Permit) lap(part *time.Duration) {
	if len(p.grant.watchers) > 0 {
		p.lapAt(part, time.Now())
	}
}

func (p *Permit) lapAt(part *time.Duration, now time.Time) {
	*part += now.Sub(p.course.last)
	p.course.last = now
}

// refused tells the watchers of an operation that was not forwarded.
func (p *Permit) refused(reason Reason, approval *record.Approval) {
	p.tell(Observed{Effect: policy.Deny, Reason: reason, Approval: approval})
}

func (p *Permit) tell(o Observed) {
	if len(p.grant.watchers) == 0 {
		return
	}
	o.ID, o.Operation, o.Source, o.Began, o.Took, o.Masks = p.id, &p.ask.Operation, p.ask.Source, p.course.began, p.course.took, len(p.view.names)
	o.Would = p.would.effect()
	for _, w := range p.grant.watchers {
		w.Operation(o)
	}
}

// Held is the number of operations that wait for approval, and since when the
// oldest of them does; zero where there is none.
func (g *Gate) Held() (count int, since time.Time) {
	for _, grant := range g.live() {
		grant.mu.Lock()
		for _, p := range grant.open {
			if p.phase != held {
				continue
			}
			count++
			if since.IsZero() || p.began.Before(since) {
				since = p.began
			}
		}
		grant.mu.Unlock()
	}
	return count, since
}

// Proof is when the snapshot in force was made, and when it was last proven to
// be the current one; zero where there is none.
func (g *Gate) Proof() (published, proven time.Time) {
	if st := g.state.Load(); st != nil {
		published = st.snapshot.Time
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return published, g.proof
}

// observe tells the watchers of an operation that was allowed.
func (p *Permit) observe(now time.Time) {
	if len(p.grant.watchers) == 0 {
		return
	}
	part := &p.course.took.Forward
	if p.answering {
		part = &p.course.took.Answer
	}
	p.lapAt(part, now)
	o := Observed{Effect: p.decision.Effect, Approval: p.approval, Result: &p.result}
	if p.voided != "" {
		o.Effect, o.Reason, o.Result = policy.Deny, p.voided, nil
	}
	p.tell(o)
}
