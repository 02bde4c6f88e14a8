// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// worker decides the records of some sessions.
type worker struct {
	batches    chan []record.Record
	candidates *candidates
	tally      *tally
	standings  map[standingKey]*standing
	// waiting are operations whose masks can be judged when their result is there; heldBack
	// those that were held and not decided yet.
	waiting  map[operationKey]*masked
	heldBack map[operationKey]where
	// ofHeld is the Connection's name of those.
	ofHeld map[operationKey]string
}

type operationKey struct {
	log, session string
	id           uint64
}

// maxKept bounds what a worker keeps of callers, and of operations that have no
// result yet.
const maxKept = 8192

func newWorker(shared *candidates) *worker {
	return &worker{
		batches: make(chan []record.Record, batchesAhead), candidates: shared, tally: newTally(), standings: map[standingKey]*standing{},
		waiting: map[operationKey]*masked{}, heldBack: map[operationKey]where{}, ofHeld: map[operationKey]string{},
	}
}

// line is a record, of which the caller is read only where he is not known yet.
type line struct {
	record.Document
	Actor json.RawMessage `json:"actor"`
}

// record decides one record again. An error ends the replay.
func (w *worker) record(ctx context.Context, text []byte) error {
	if len(w.waiting) == 0 && isResult(text) {
		return nil
	}
	var d line
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	at := where{d.Log, d.Index}
	switch d.Type {
	case record.OperationHeld:
		return w.hold(&d, at)
	case record.OperationDecided:
		return w.operation(ctx, &d, at)
	case record.OperationResult:
		return w.result(&d)
	case record.SessionStart, record.SessionRefused:
		return w.session(ctx, &d, at)
	case record.SessionEnd:
		return w.over(&d)
	default:
		return nil
	}
}

// hold notes an operation that waits. Of one that was not decided at all, the end says so.
func (w *worker) hold(d *line, at where) error {
	key := operationKey{d.Log, d.Session, d.OperationID}
	if len(w.heldBack) >= maxGroups {
		return errTooMany()
	}
	w.heldBack[key], w.ofHeld[key] = at, connectionName(d)
	return nil
}

// operation decides an operation again.
func (w *worker) operation(ctx context.Context, d *line, at where) error {
	key := operationKey{d.Log, d.Session, d.OperationID}
	_, waited := w.heldBack[key]
	delete(w.heldBack, key)
	delete(w.ofHeld, key)
	w.tally.operations++
	before, word, known := was(&d.Document)
	if known && waited {
		before, word = held, "" // whatever came of it, as when the caller left
	}
	switch {
	case !known:
		return w.gap(gapName{"Incomplete", connectionName(d), "the record holds no decision: it was not written by a proxy, or by one of a later version"}, at)
	case word != "":
		return count(w.tally.otherwise, gapName{word, connectionName(d), "refused whatever the policies say"}, 1, at)
	case d.Operation == nil:
		return w.gap(gapName{"Incomplete", connectionName(d), "the record does not say what the operation was"}, at)
	}
	on, s, gap, err := w.standing(ctx, d)
	if err != nil {
		return err
	}
	if gap != nil {
		return w.gap(*gap, at)
	}
	op, whole := operationOf(d.Operation)
	if !whole {
		return w.gap(gapName{"Incomplete", on.name, "a name in the operation was cut, or taken for a secret, when the record was written"}, at)
	}
	now, err := s.decide(ctx, op, d.Time)
	if errors.Is(err, errUnclear) {
		return w.gap(s.unclear, at)
	}
	if err != nil {
		return err
	}
	w.tally.decided++
	group := Name{Connection: on.name, Caller: s.caller.name, Rule: now.rule}
	if group.Change, group.Access = changed(before, &now.Decision, d.Operation); group.Change != "" {
		if err := count(w.tally.groups, group, 1, at); err != nil {
			return err
		}
	}
	if now.Effect == policy.Deny {
		return nil
	}
	return w.masks(on, s, d, before, now, at)
}

// changed says what became of the effect, and of which access; nothing where it is the
// same, and where masks have the last word.
func changed(before outcome, now *policy.Decision, op *record.OperationDocument) (change, access string) {
	switch {
	case before == unmaskable, before == otherwise:
		return "", ""
	case now.Effect == policy.Deny && before != denied:
		return NewlyDenied, accessText(now.Access)
	case now.Effect == policy.RequireApproval && before != held:
		return NewlyHeld, accessText(now.Access)
	case now.Effect == policy.Allow && before == denied:
		return NewlyAllowed, accessesText(op)
	case now.Effect == policy.Allow && before == held:
		return NoLongerHeld, accessesText(op)
	}
	return "", ""
}

func (w *worker) gap(name gapName, at where) error { return count(w.tally.undecided, name, 1, at) }

// connectionName is namespace/name, nothing where the record names none.
func connectionName(d *line) string {
	if d.Document.Connection == nil {
		return ""
	}
	return d.Document.Connection.Namespace + "/" + d.Document.Connection.Name
}

// end counts what waits still.
func (w *worker) end() error {
	for _, m := range w.waiting {
		if err := w.unanswered(m); err != nil {
			return err
		}
	}
	for key, at := range w.heldBack {
		w.tally.operations++
		if err := w.gap(gapName{"StillHeld", w.ofHeld[key], "the operation was held, and what became of it is not in these records"}, at); err != nil {
			return err
		}
	}
	return nil
}
