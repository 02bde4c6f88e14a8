// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"reflect"
	"slices"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// standing says whether an operation that was held still is what was approved,
// after the catalog may have changed: it is read again, as the target is about
// to. Where masks are in force, they are worked out anew. The error is recorded.
func (s *session) standing(ctx context.Context, op *operation) error {
	cat, err := s.catalogFor(ctx, op.statement.needsNames)
	if err != nil {
		return s.refuseText(ctx, op.statement.Kind, op.statement.Text, err)
	}
	if cat.Catalog == op.catalog.Catalog {
		return nil
	}
	again, err := s.analyzeWith(ctx, op.statement.Text, cat)
	if err == nil && len(again) == 1 && same(op.statement.Statement, again[0].Statement) {
		op.catalog = cat
		if err = s.checkMasks(op, op.rules); err == nil {
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.refuseText(ctx, op.statement.Kind, op.statement.Text, changedRefusal)
}

// keepBehind notes what reading a view reads that is about to be made. It may be
// made anew, so that what an earlier one read is kept.
func (s *session) keepBehind(e *sql.Effects) {
	if s.behind == nil {
		s.behind = map[string][]sql.Access{}
	}
	made := slices.Clone(e.Creates)
	for _, name := range e.CreatesTemp {
		made = append(made, catalog.TempSchema+"."+name)
	}
	for _, name := range made {
		s.behind[name] = append(s.behind[name], e.Behind...)
	}
}

// never says why no policy can allow a statement in this session, or nil.
func (s *session) never(st *statement) *access.Refusal {
	if st.Refusal != nil {
		return sqlRefusal(st.Refusal)
	}
	if role := s.grant.TargetRole(); role != "" && st.Effects.RunsText {
		return textRefusal(role)
	}
	return nil
}

// same says whether a statement means what it meant when it was read before. It
// may have stood among others then, or behind a name.
func same(before, now *sql.Statement) bool {
	if before.Kind != now.Kind && now.Effects.Prepared != nil {
		now = now.Effects.Prepared
	}
	alone := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(p string) bool { return p == sql.PropertyMultiStatement })
	}
	return before.Kind == now.Kind && before.Normalized == now.Normalized && slices.Equal(before.Relations, now.Relations) &&
		slices.Equal(alone(before.Properties), alone(now.Properties)) && reflect.DeepEqual(before.Accesses, now.Accesses) &&
		(before.Refusal == nil) == (now.Refusal == nil)
}

var changedRefusal = &access.Refusal{
	Reason:  access.ReasonApprovalVoid,
	Message: "what the statement means has changed while it was held: the target's schema is another now; it was not forwarded",
	Hint:    "Look at the change, and run it again.",
}
