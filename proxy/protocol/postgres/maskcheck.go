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
	op.masks = s.masks.over(rules, op.catalog)
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

// wouldMask says whether an operation's answer could be masked under rules that are
// not in force. It says nothing of temporary relations, which were made under others.
func (s *session) wouldMask(op *operation, rules mask.Rules) error {
	if op.calls {
		return typesRefusal
	}
	masks := s.audited.masks.over(rules, op.catalog)
	all := []*sql.Statement{op.statement.Statement}
	if cursor := op.statement.Effects.Fetches; cursor != "" {
		declared, err := s.declared(cursor)
		if err != nil {
			return err
		}
		all = append(all, declared)
	}
	for _, st := range all {
		found := s.audited.verdicts.of(st, masks, op.catalog)
		if found.err != nil {
			return found.err
		}
		if op.statement.Effects.CopyOut && (!found.shows.Clear() || rules.Detect() != nil) {
			if err := copyMaskable(op.statement.Effects.Copy, !found.shows.Clear()); err != nil {
				return err
			}
		}
	}
	return nil
}

// worked are the masks over a catalog, worked out once for as long as both stand.
type worked struct {
	rules   mask.Rules
	catalog *catalog.Catalog
	set     *sql.MaskSet
}

func (w *worked) over(rules mask.Rules, cat *loaded) *sql.MaskSet {
	if w.set == nil || w.catalog != cat.Catalog || !w.rules.Same(rules) {
		w.rules, w.catalog = rules, cat.Catalog
		w.set = sql.NewMaskSet(cat.Catalog, maskedColumns(rules, cat))
	}
	return w.set
}
