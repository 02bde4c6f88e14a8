// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// checkMasks says whether an operation's answer can be masked under the rules,
// and notes whether masks touch it.
func (s *session) checkMasks(op *operation, rules mask.Rules) error {
	op.touched, op.masks, op.shows = false, nil, nil
	if rules.Empty() {
		return nil
	}
	op.masks = s.maskSet(rules, op.catalog)
	all := []*sql.Statement{op.statement.Statement}
	rows := 0 // where the statements begin whose rows come
	if cursor := op.statement.Effects.Fetches; cursor != "" {
		declared := s.cursors[cursor]
		if len(declared) == 0 {
			return fmt.Errorf("cursor %q was not declared by a statement of this session, so its rows cannot be masked", cursor)
		}
		all = append(all, declared...)
		rows = 1
	}
	for i, st := range all {
		found := s.verdicts.of(st, op.masks)
		if found.err != nil {
			return found.err
		}
		op.touched = op.touched || found.touched
		if i >= rows {
			op.shows = append(op.shows, found.shows)
		}
		if op.statement.Effects.CopyOut && !found.shows.Clear() {
			return &sql.Error{SQLSTATE: sql.StateInsufficientPrivilege, Message: "copy data has masked columns",
				Hint: "Select the columns instead, or leave them out."}
		}
	}
	return nil
}

// touches says whether masked values may take part in what a statement does.
// The triggers of what is written may reach anything.
func touches(st *sql.Statement, masks *sql.MaskSet) bool {
	if st.TouchesMasked(masks) {
		return true
	}
	for _, a := range st.Accesses {
		switch a.Action {
		case sql.ActionExecute, sql.ActionDo, sql.ActionUnknown, sql.ActionInsert, sql.ActionUpdate, sql.ActionDelete:
			return !masks.Empty()
		}
	}
	return false
}

// maskSet works out the masks over a catalog, once for as long as both stand.
func (s *session) maskSet(rules mask.Rules, cat *loaded) *sql.MaskSet {
	if s.masks.set == nil || s.masks.catalog != cat.Catalog || !s.masks.rules.Same(rules) {
		s.masks.rules, s.masks.catalog = rules, cat.Catalog
		s.masks.set = sql.NewMaskSet(cat.Catalog, maskedColumns(rules, cat))
	}
	return s.masks.set
}
