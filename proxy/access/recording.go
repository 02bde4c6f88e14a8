// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/doorward/doorward/proxy/record"
)

// mostRecordings bounds the recordings of one session, whose names are kept until it ends.
const mostRecordings = 1 << 14

// tape is one recording of an operation.
type tape struct {
	id     string
	permit *Permit

	// mu is held while a part is put on record: the next one waits for it, and so does the
	// operation's result. It guards the fields below.
	mu sync.Mutex
	// next is the number of the part that follows.
	next  int64
	ended bool
}

// Recording puts a part of a recording of the operation, or its end, on record. It returns
// once the part can no longer be lost, as spec.audit.durability has it. Whoever shows a
// terminal shows nothing more until then, so that what was shown and is not on record is
// never more than one part and what gathers for the next.
//
// An operation may have several recordings and a session many, of up to 16384 names; their
// parts may come at the same time, those of one recording in order. Once the session was
// ended, nothing more is shown, and its last parts wait for the log's own disk only. After
// Done, or Grant.Close, nothing is taken.
//
// Any error ends the session, since what is not on record must not go on: with EndRecord,
// unless it was ended before. It is a *Refusal.
func (p *Permit) Recording(part record.Recording) error {
	err := p.tape(&part)
	if err == nil {
		return nil
	}
	g := p.grant
	refusal := g.gate.unrecorded(ErrRecord.Error(), fmt.Errorf("%w: recording %q, part %d: %w", ErrRecord, part.ID, part.Sequence, err))
	g.gate.tell(refusal)
	g.End(refusal)
	return refusal
}

func (p *Permit) tape(part *record.Recording) error {
	if err := part.Check(); err != nil {
		return err
	}
	g := p.grant
	t, revision, err := g.tapeOf(p, part.ID)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case p.done.Load():
		return errTapeLate
	case t.ended:
		return errors.New("it has ended")
	case part.Sequence != t.next:
		return fmt.Errorf("part %d must follow", t.next)
	}
	kind := part.Type()
	if err := g.appendPart(record.Event{
		Type: kind, Session: g.id, Connection: recordConnection(g.opened.snapshot.Connection), Revision: revision,
		Actor: &g.principal, ClientAddress: g.client, OperationID: p.id, Recording: part, Memo: &g.memo,
		Durability: record.Durability(g.view.Load().snapshot.Audit.Durability),
	}); err != nil {
		return err
	}
	if t.ended = kind == record.RecordingEnd; !t.ended {
		t.next++
	}
	return nil
}

// errTapeLate is the error for what comes when nothing may follow any more.
var errTapeLate = errors.New("the operation is done, or the session over: recordings are closed before")

// appendPart waits until a part is durable, or the session was ended and the part has its
// place in the log.
func (g *Grant) appendPart(event record.Event) error {
	_, err := g.gate.config.Log.Append(g.ctx, event)
	switch {
	case err == nil || g.ctx.Err() == nil:
		return err
	case errors.Is(err, record.ErrUnsettled):
		return nil
	}
	event.Durability = record.Local
	_, err = g.gate.config.Log.Append(context.WithoutCancel(g.ctx), event)
	return err
}

// tapeOf is the recording of a name, new where there was none, and the revision in force.
func (g *Grant) tapeOf(p *Permit, id string) (*tape, int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, known := g.tapes[id]
	switch {
	case g.closed || p.done.Load():
		return nil, 0, errTapeLate
	case known && (t == nil || t.permit != p):
		return nil, 0, errors.New("another operation of the session has a recording of that name")
	case !known && len(g.tapes) >= mostRecordings:
		return nil, 0, fmt.Errorf("the session has %d recordings, as many as one may have: open another session", mostRecordings)
	case !known:
		if g.tapes == nil {
			g.tapes = map[string]*tape{}
		}
		t = &tape{id: id, permit: p}
		g.tapes[id], p.tapes = t, append(p.tapes, t)
	}
	return t, p.view.snapshot.Revision, nil
}

// stopTapes waits for the part of each recording that is on its way; none follows. The
// permit is done, and was forgotten since.
func (g *Grant) stopTapes(p *Permit) {
	for _, t := range p.tapes {
		t.stop()
		g.mu.Lock()
		g.tapes[t.id] = nil
		g.mu.Unlock()
	}
	p.tapes = nil
}

func (t *tape) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}
