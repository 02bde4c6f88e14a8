// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// A session most often runs what it ran before. What follows only from
// immutable parts, statements and sets of masks, is found out once.

// verdict is what masks mean for a statement.
type verdict struct {
	err     error
	reveals reveals
	shows   *sql.Disclosure
}

// verdicts belong to one set of masks.
type verdicts struct {
	masks *sql.MaskSet
	known map[*sql.Statement]verdict
}

// keptVerdicts bounds what a session remembers of its statements.
const keptVerdicts = 256

// of finds out what masks mean for a statement.
func (v *verdicts) of(st *sql.Statement, masks *sql.MaskSet, cat *loaded) verdict {
	if v.masks != masks || len(v.known) >= keptVerdicts {
		v.masks, v.known = masks, map[*sql.Statement]verdict{}
	}
	found, ok := v.known[st]
	if !ok {
		if found.shows, found.err = st.Disclose(masks); found.err == nil {
			found.reveals = revealsOf(st, masks, cat)
		}
		v.known[st] = found
	}
	return found
}

// lastResult is what was worked out for the last result with masks in force.
type lastResult struct {
	// description is a RowDescription, columns what it says.
	description []byte
	columns     *columns

	// plan is the one for planned under masks; planned is nil where there is none.
	planned *columns
	masks   *sql.MaskSet
	shows   *sql.Disclosure
	own     bool
	plan    *rowPlan
}

// columnsOf decodes a RowDescription, where it is not the last one again.
func (s *session) columnsOf(content []byte) (*columns, error) {
	last := &s.last
	if last.columns != nil && bytes.Equal(content, last.description) {
		return last.columns, nil
	}
	cols, err := decodeColumns(content)
	if err == nil && len(content) <= maxScratch {
		last.description, last.columns = bytes.Clone(content), cols
	}
	return cols, err
}

// planOf is plan, where it is not the last one again. A plan depends on the
// columns and on the masks over a catalog, and on nothing else as long as the
// catalog knows where all columns come from.
func (s *session) planOf(ctx context.Context, op *operation, cols *columns) (*rowPlan, error) {
	last := &s.last
	if last.planned == cols && last.masks == op.masks && len(op.shows) == 1 && last.shows == op.shows[0] && last.own == op.own {
		return last.plan, nil
	}
	plan, err := s.plan(ctx, op, cols)
	last.planned, last.masks, last.shows, last.plan = nil, nil, nil, nil
	if err == nil && op.masks != nil && len(op.shows) == 1 && op.catalog.knows(cols) {
		last.planned, last.masks, last.shows, last.own, last.plan = cols, op.masks, op.shows[0], op.own, plan
	}
	return plan, err
}

// knows says whether a catalog knows where all columns come from.
func (l *loaded) knows(cols *columns) bool {
	for _, c := range cols.list {
		if c.relation == 0 || c.attribute < 0 {
			continue // derived, or a system column
		}
		if _, known := l.column(c); !known {
			return false
		}
	}
	return true
}
