// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/proxy/record"
)

// catalogNow is the catalog that what is read now must be understood with: it
// holds all changes that were forwarded before, as far as they are committed.
func (s *session) catalogNow(ctx context.Context) (*loaded, error) {
	s.mu.Lock()
	pending, transaction := s.ddl, s.transaction
	s.mu.Unlock()
	if pending {
		if err := s.idle(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock()
		pending, transaction = s.ddl, s.transaction
		s.mu.Unlock()
	}
	if !pending {
		s.moved, s.unread, s.own = false, false, own{}
		s.forgetCreated()
	} else if cat := s.ownNow(transaction); cat != nil {
		return cat, nil
	}
	if s.database.aging() && s.renewing.CompareAndSwap(false, true) {
		s.beside.Go(func() {
			defer s.renewing.Store(false)
			s.database.renew(ctx, s.grant)
		})
	}
	return s.database.get(ctx, s.grant)
}

// analyze says what a text does. The error is a *access.Refusal or the session's end.
func (s *session) analyze(ctx context.Context, text string) ([]*statement, *loaded, error) {
	if len(text) > MaxStatement {
		return nil, nil, &access.Refusal{
			Reason: access.ReasonProtocol, Code: stateLimitExceeded,
			Message: fmt.Sprintf("the statement has %d bytes; at most %d are taken", len(text), MaxStatement),
			Hint:    "Send large values as parameters or with COPY.",
		}
	}
	cat, err := s.catalogFor(ctx, func() bool { return len(text) >= largeStatement || !sql.Pathless(text) })
	if err != nil {
		return nil, nil, err
	}
	statements, err := s.analyzeWith(ctx, text, cat)
	if err == nil && s.moved && slices.ContainsFunc(statements, func(st *statement) bool { return st.Effects.Fetches != "" }) {
		if cat, err = s.catalogFor(ctx, func() bool { return true }); err == nil {
			statements, err = s.analyzeWith(ctx, text, cat)
		}
	}
	var unknown *sql.UnknownRelationError
	if errors.As(err, &unknown) {
		newer, loadErr := s.missed(ctx, cat)
		if loadErr != nil {
			return nil, nil, loadErr
		}
		if newer.Catalog != cat.Catalog {
			cat = newer
			statements, err = s.analyzeWith(ctx, text, cat)
		}
	}
	if err != nil {
		return nil, cat, err
	}
	return statements, cat, nil
}

func (s *session) analyzeWith(ctx context.Context, text string, cat *loaded) ([]*statement, error) {
	if s.namesMoved(cat) && (s.between() || len(text) >= largeStatement || strings.Contains(text, "\\") || !sql.Pathless(text)) {
		if err := s.settleNames(ctx, cat); err != nil {
			return nil, err
		}
	}
	private := len(s.temp) > 0 || len(s.created) > 0 || len(text) >= largeStatement || s.cursorsRun() || cat.own
	key := cacheKey{catalog: cat.Catalog, path: s.pathKey, unsettled: s.names.unsettled, inRole: s.grant.TargetRole() != "", text: text}
	if !private {
		if found, ok := s.handler.cache.get(key); ok {
			return found, nil
		}
	}
	options := sql.Options{
		SearchPath: s.path, Database: s.database.name, MaxBytes: MaxStatement,
		Prepared: func(name string) (*sql.Statement, bool) {
			private = true
			return s.preparedStatement(ctx, name)
		},
		Unsettled: s.names.unsettled, InRole: s.grant.TargetRole() != "", CursorsRun: s.cursorsRun(),
		PathAfter: func(list []string) ([]string, error) {
			private = true
			return s.pathAfter(ctx, list)
		},
	}
	if private {
		options.TempRelations = func(name string) bool { return s.temp[name] }
		options.Created = func(schema, name string) bool { return s.created[schema+"."+name] }
		options.Behind = func(resource string) []sql.Access { return s.behind[resource] }
	}
	done, err := s.analyzing(ctx, text)
	if err != nil {
		return nil, err
	}
	defer done()
	analyzed, err := sql.Analyze(text, cat.Catalog, options)
	if err != nil {
		return nil, err
	}
	statements := make([]*statement, 0, len(analyzed))
	for i := range analyzed {
		statements = append(statements, newStatement(&analyzed[i]))
		private = private || analyzed[i].Runs() != nil
	}
	if !private {
		s.handler.cache.put(key, statements)
	}
	return statements, nil
}

func (s *session) preparedStatement(ctx context.Context, name string) (*sql.Statement, bool) {
	p, err := s.lookup(ctx, name)
	if err != nil || p == nil || p.text == "" {
		return nil, false
	}
	st, _, err := s.current(ctx, p)
	if err != nil || st == nil {
		return nil, false
	}
	return st.Statement, true
}

// current is what a prepared statement means now. The server plans it again
// when the catalog changes, so it is analysed again then, too.
func (s *session) current(ctx context.Context, p *prepared) (*statement, *loaded, error) {
	cat, err := s.catalogFor(ctx, func() bool { return p.parsed == nil || p.parsed.needsNames() })
	if err != nil {
		return nil, nil, err
	}
	if p.parsed == nil || !p.parsed.Pathless {
		if err := s.settleNames(ctx, cat); err != nil {
			return nil, nil, err
		}
	}
	known := p.parsed != nil && p.catalog == cat.Catalog && p.generation == s.generation
	if known && (p.pathKey == s.pathKey || p.parsed.Pathless) && p.parsed.Runs() == nil {
		return p.parsed, cat, nil
	}
	statements, cat, err := s.analyze(ctx, p.text)
	if err != nil {
		return nil, cat, err
	}
	if len(statements) != 1 {
		return nil, cat, &access.Refusal{Reason: access.ReasonProtocol, Message: "a prepared statement must be one statement"}
	}
	st := statements[0]
	if p.inner {
		if st.Effects.Prepared == nil {
			return nil, cat, &access.Refusal{Reason: access.ReasonProtocol, Message: "a prepared statement can no longer be understood"}
		}
		st = newStatement(st.Effects.Prepared)
	}
	p.parsed, p.catalog, p.pathKey, p.generation = st, cat.Catalog, s.pathKey, s.generation
	return st, cat, nil
}

// refuseText puts a text that cannot be understood, or must not be, on record
// as refused. Its literals are taken out, since nobody knows what they are.
func (s *session) refuseText(ctx context.Context, kind, text string, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err := s.grant.Decide(ctx, access.Ask{
		Operation: record.Operation{
			Protocol: Name, Kind: kind, Statement: withoutLiterals(text),
			Accesses: []policy.Access{{Action: sql.ActionUnknown, Resource: strings.ToLower(kind)}},
		},
		Refuse: fromSQL(cause), Received: s.received, Source: text,
	})
	s.received = time.Time{}
	return err
}

// withoutLiterals keeps a text up to its first quote. Where a literal ends in a
// text that cannot be understood, only the server's lexer could tell.
func withoutLiterals(text string) string {
	if len(text) > record.StatementLimit {
		text = text[:record.StatementLimit]
	}
	for i := range len(text) {
		// A dollar before a digit is a parameter.
		if text[i] == '\'' || text[i] == '$' && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') {
			return text[:i] + "…"
		}
	}
	return text
}
