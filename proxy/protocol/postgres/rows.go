// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// rowsFollow takes the description of a simple query's rows.
func (s *session) rowsFollow(ctx context.Context, e *expected, op *operation, raw []byte) error {
	if !op.rules.Empty() || op.answer.Room() > 0 {
		cols, err := s.columnsOf(raw[headerLength:])
		if err != nil {
			return err
		}
		op.showHeader(cols)
		if !op.rules.Empty() {
			if op.plan, err = s.planOf(ctx, op, cols); err != nil {
				return s.unplanned(ctx, e, op, err)
			}
		}
	}
	op.planned = true
	return s.pass(raw)
}

// unplanned breaks off where the target describes what the statement cannot show.
// The catalog was changed past the proxy: it is read again for the next try.
func (s *session) unplanned(ctx context.Context, e *expected, op *operation, err error) error {
	var refused *sql.Error
	if !errors.As(err, &refused) {
		return err
	}
	if _, err := s.database.newer(ctx, s.grant); err != nil {
		return err
	}
	return s.breakOff(ctx, e, op, sqlRefusal(refused))
}

var noColumns columns

// described takes the description of a portal's rows.
func (s *session) described(e *expected, kind byte, raw []byte) error {
	if e.keep {
		cols := &noColumns
		if kind == msgRowDescription {
			var err error
			if cols, err = s.columnsOf(raw[headerLength:]); err != nil {
				return err
			}
		}
		e.portal.columns = cols
	}
	if e.internal || e.simple && kind == msgNoData {
		s.mu.Lock()
		s.pop()
		s.mu.Unlock()
		return nil
	}
	return s.complete(e, raw)
}

// row passes a row on, masked where it must be.
func (s *session) row(ctx context.Context, e *expected, n int) error {
	if e != nil && e.kind == awaitInquiry && (n <= maxScratch || e.inquiry.rows != nil && n <= maxBackendBuffered) {
		raw, err := s.fromTarget.take(n)
		if err != nil {
			return err
		}
		return s.inquired(e, msgDataRow, raw)
	}
	if e != nil && e.broken {
		return s.fromTarget.discard(n)
	}
	if e == nil || e.kind != awaitQuery && e.kind != awaitExecute || e.failed || e.next >= len(e.operations) {
		return outOfTurn(msgDataRow)
	}
	op := e.operations[e.next]
	if !op.planned {
		if err := s.planPortal(ctx, e, op); err != nil {
			return s.unplanned(ctx, e, op, err) // the row is dropped with what follows
		}
	}
	if op.plan == nil {
		return s.unmasked(ctx, e, op, n)
	}
	if n > maxMaskedRow {
		return s.breakOff(ctx, e, op, largeRowRefusal(n))
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	masked, err := op.plan.mask(raw, &op.masked)
	if err != nil {
		return err
	}
	if err := op.meter.Take(1, int64(len(masked)-headerLength)); err != nil {
		return s.breakOff(ctx, e, op, access.AsRefusal(err))
	}
	op.rows++
	op.bytes += int64(n)
	op.answer.Content(masked)
	op.showRow(masked[headerLength:])
	return s.pass(masked)
}

// largeRowRefusal: a row in which something is masked is held whole, since its
// length changes.
func largeRowRefusal(n int) *access.Refusal {
	return &access.Refusal{
		Reason: access.ReasonMasked, Code: stateLimitExceeded,
		Message: fmt.Sprintf("a row in which values are masked has %d bytes; at most %d can be masked", n, maxMaskedRow),
		Hint:    "Leave large columns out, or select parts of them.",
	}
}

// unmasked passes a row on as it came.
func (s *session) unmasked(ctx context.Context, e *expected, op *operation, n int) error {
	if err := op.meter.Take(1, int64(n)); err != nil {
		return s.breakOff(ctx, e, op, access.AsRefusal(err))
	}
	op.rows++
	op.bytes += int64(n)
	if n > op.answer.Room() {
		op.answer.Skip(1, int64(n))
		return s.flow(op, msgDataRow, n)
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	op.answer.Content(raw)
	op.showRow(raw[headerLength:])
	return s.pass(raw)
}

// planPortal makes the plan of an Execute from its portal's description.
func (s *session) planPortal(ctx context.Context, e *expected, op *operation) error {
	if e.kind != awaitExecute {
		return outOfTurn(msgDataRow)
	}
	op.planned = true
	if e.portal.columns != nil {
		op.showHeader(e.portal.columns)
	}
	if op.rules.Empty() {
		return nil
	}
	if e.portal.columns == nil {
		return fmt.Errorf("%w: rows came that were not described, so they cannot be masked", errTarget)
	}
	var err error
	op.plan, err = s.planOf(ctx, op, e.portal.columns)
	return err
}

// stream passes a message on without holding it whole. The answer, which may be
// nil, takes its bytes.
func (s *session) stream(n int, answer *access.Answer) error {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	s.broken, s.streaming = true, true
	readErr, writeErr := s.fromTarget.copyTo(s.toClient, n, answer)
	if readErr != nil {
		return readErr
	}
	if writeErr != nil {
		return writeErr
	}
	s.broken, s.streaming = false, false
	return nil
}
