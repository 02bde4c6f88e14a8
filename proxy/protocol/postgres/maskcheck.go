// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// checkMasks says whether an operation's answer can be masked under the rules, and
// notes what its errors may hold.
func (s *session) checkMasks(op *operation, rules mask.Rules) error {
	op.reveals, op.masks, op.shows, op.own = revealsNothing, nil, op.room.shows[:0], false
	switch {
	case len(s.temp) == 0:
		s.madeUnder, s.outgrown = rules, false
	case s.madeUnder.Alike(rules):
		s.madeUnder = rules
	default:
		s.outgrown = true
	}
	if rules.Empty() {
		return nil
	}
	if op.calls {
		return typesRefusal
	}
	op.masks = s.maskSet(rules, op.catalog)
	op.reveals = revealsMasks
	all := []*sql.Statement{op.statement.Statement}
	rows := 0 // where the statements begin whose rows come
	if cursor := op.statement.Effects.Fetches; cursor != "" {
		declared, err := s.declared(cursor)
		if err != nil {
			return err
		}
		all = append(all, declared)
		rows = 1
	}
	for i, st := range all {
		found := s.verdicts.of(st, op.masks, op.catalog)
		if found.err != nil {
			return found.err
		}
		op.reveals = max(op.reveals, found.reveals)
		op.own = op.own || s.ownsNames(st)
		if i >= rows {
			op.shows = append(op.shows, found.shows)
		}
		if op.statement.Effects.CopyOut && (!found.shows.Clear() || rules.Detect() != nil) {
			if err := copyMaskable(op.statement.Effects.Copy, !found.shows.Clear()); err != nil {
				return err
			}
		}
	}
	if op.own && s.outgrown {
		return outgrownError
	}
	return nil
}

// outgrownError: what a temporary relation holds was right to see, or to decide by,
// under the masks of then.
var outgrownError = &sql.Error{
	SQLSTATE: sql.StateInsufficientPrivilege, Message: "the session's temporary relations were made while other masks held for you",
	Hint: "Reconnect, and make them again.",
}

// reveals is what errors and notices may hold while a statement runs.
type reveals byte

const (
	// revealsNothing: no masks hold.
	revealsNothing reveals = iota
	// revealsMasks: masks hold; the statement reaches nothing that they are for.
	revealsMasks
	// revealsValues: masked values may be in the text.
	revealsValues
	// revealsCode: code of users may have written anything anywhere in it.
	revealsCode
)

// revealsOf says what a statement's errors may hold: with the code behind what it
// writes, triggers above all, that may be anything.
func revealsOf(st *sql.Statement, masks *sql.MaskSet, cat *loaded) reveals {
	found := revealsMasks
	if st.TouchesMasked(masks) {
		found = revealsValues
	}
	for _, a := range st.Accesses {
		switch a.Action {
		case sql.ActionExecute, sql.ActionDo, sql.ActionUnknown:
			return revealsCode
		case sql.ActionInsert, sql.ActionUpdate, sql.ActionDelete:
			if strings.HasPrefix(a.Resource, catalog.TempSchema+".") {
				continue // the session's own; triggers are not made while masks hold
			}
			schema, name, _ := strings.Cut(a.Resource, ".")
			relation, ok := cat.Lookup(schema, name)
			if !ok || cat.HasHiddenCalls() || cat.HasTriggers(relation.OID) || cat.HasCode(relation.OID) || relation.WriteRules {
				return revealsCode
			}
			for _, c := range relation.Columns {
				if _, masked := masks.Masked(relation.OID, c.Name); masked {
					found = revealsValues
				}
			}
		}
	}
	if found == revealsValues && st.CallsWhenPlanned() {
		return revealsCode
	}
	return found
}

// maskSet works out the masks over a catalog, once for as long as both stand.
func (s *session) maskSet(rules mask.Rules, cat *loaded) *sql.MaskSet {
	if s.masks.set == nil || s.masks.catalog != cat.Catalog || !s.masks.rules.Same(rules) {
		s.masks.rules, s.masks.catalog = rules, cat.Catalog
		s.masks.set = sql.NewMaskSet(cat.Catalog, maskedColumns(rules, cat))
	}
	return s.masks.set
}
