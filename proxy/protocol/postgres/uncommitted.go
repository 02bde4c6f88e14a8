// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// own is the catalog as the session's transaction sees it, with the changes that
// it has not committed. It belongs to the requests pump.
type own struct {
	cat *loaded
	// transaction is the one that it was read in.
	transaction uint64
}

// maxReadings is how often the catalog is read again because others have changed
// it in the meantime.
const maxReadings = 3

// catalogFor is the catalog that what is read now must be understood with. Where
// names were moved in the open transaction, and are needed, it is read on the
// session's own connection.
func (s *session) catalogFor(ctx context.Context, names func() bool) (*loaded, error) {
	cat, err := s.catalogNow(ctx)
	if err != nil || !s.moved || !names() {
		return cat, err
	}
	cat, err = s.readOwn(ctx)
	if err == nil && cat == nil {
		err = movedRefusal
	}
	return cat, err
}

// ownNow is the catalog of the open transaction, or nil where there is none. One
// that others may have outdated must be read again.
func (s *session) ownNow(transaction uint64) *loaded {
	c := s.own.cat
	switch {
	case c == nil:
		return nil
	case s.own.transaction != transaction:
		s.own = own{}
		return nil
	case c.changes != s.database.changes.Load() || time.Since(c.at) >= catalogLife:
		s.moved = true
	}
	return c
}

// missed is a newer catalog than one in which something was missed: that of the
// open transaction where it has changed the catalog.
func (s *session) missed(ctx context.Context, cat *loaded) (*loaded, error) {
	if s.changing() && (!cat.own || time.Since(cat.at) >= catalogPause || s.unread) {
		newer, err := s.readOwn(ctx)
		if newer != nil || err != nil {
			return newer, err
		}
	}
	if cat.own {
		return cat, nil
	}
	return s.database.newer(ctx, s.grant)
}

// movesNames says that names may mean other objects after a statement than the
// catalog in use says. What is rolled back, also by the end of a transaction that
// another follows at once, brings back those of before.
func (s *session) movesNames(st *statement) bool {
	return st.Effects.MovesNames || s.own.cat != nil && st.RestoresSettings()
}

// moves notes what a statement that is forwarded does to the names of those after it.
func (s *session) moves(st *statement) {
	if s.movesNames(st) {
		s.moved = true
		s.moving++
	}
	s.unread = s.unread || st.changesCatalog()
	switch st.Effects.Transaction { //nolint:exhaustive // the others begin and end no transaction
	case sql.TransactionBegin, sql.TransactionCommit, sql.TransactionRollback, sql.TransactionPrepare:
		s.turned = true
	}
}

// readOwn reads the catalog within the open transaction. It is nil where that
// cannot be done: outside a block there are no savepoints, and where one snapshot
// holds for the whole transaction, queries see another catalog than names do.
func (s *session) readOwn(ctx context.Context) (*loaded, error) {
	if err := s.idle(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	status, transaction, unable := s.status, s.transaction, s.skipped || s.poisoned
	s.mu.Unlock()
	switch {
	case status == 'E':
		return nil, abortedRefusal
	case status != 'T' || s.turned || unable:
		return nil, nil //nolint:nilnil // there is none to be had
	}
	rows, err := s.ask(ctx, "SELECT pg_catalog.current_setting('transaction_isolation')")
	if err != nil {
		return nil, ownRefusal(ctx, err)
	}
	if len(rows) != 1 || rows[0][0] != "read committed" && rows[0][0] != "read uncommitted" {
		return nil, nil //nolint:nilnil // there is none to be had
	}
	cat, err := s.readAside(ctx)
	if err != nil {
		return nil, ownRefusal(ctx, err)
	}
	s.own = own{cat, transaction}
	s.moved, s.unread = false, false
	s.forgetCreated()
	return cat, nil
}

// readAside reads within a savepoint that is rolled back, so that neither
// settings nor locks nor an error stay behind.
func (s *session) readAside(ctx context.Context) (*loaded, error) {
	if _, err := s.ask(ctx, "SAVEPOINT "+inquiryName); err != nil {
		return nil, err
	}
	cat, err := s.readSteady(ctx)
	for _, text := range []string{"ROLLBACK TO SAVEPOINT " + inquiryName, "RELEASE SAVEPOINT " + inquiryName} {
		if _, end := s.ask(ctx, text); end != nil {
			return nil, errors.Join(err, end)
		}
	}
	return cat, err
}

// readSteady reads until nobody has changed the catalog meanwhile: each query has
// a snapshot of its own.
func (s *session) readSteady(ctx context.Context) (*loaded, error) {
	for range maxReadings {
		fresh := &loaded{own: true, changes: s.database.changes.Load()}
		before, err := s.fingerprint(ctx)
		if err != nil {
			return nil, err
		}
		if last := s.own.cat; last != nil && last.fingerprint == before {
			fresh.Catalog, fresh.fingerprint, fresh.at = last.Catalog, before, time.Now()
			return fresh, nil
		}
		if fresh.Catalog, err = catalog.LoadWithin(ctx, catalog.QuerierFunc(s.ask)); err != nil {
			return nil, err
		}
		if fresh.fingerprint, err = s.fingerprint(ctx); err != nil {
			return nil, err
		}
		if fresh.fingerprint == before {
			fresh.at = time.Now()
			return fresh, nil
		}
	}
	return nil, errors.New("others kept changing the catalog")
}

func (s *session) fingerprint(ctx context.Context) (string, error) {
	rows, err := s.ask(ctx, queryFingerprint)
	if err == nil && len(rows) != 1 {
		err = errors.New("cannot read the catalog's fingerprint")
	}
	if err != nil {
		return "", err
	}
	return rows[0][0], nil
}

// askError is the target's refusal of a question.
type askError struct{ code string }

func (e *askError) Error() string { return "SQLSTATE " + e.code }

// ask runs one statement on the session's connection, in an open transaction
// block and with nothing owed; it gives the rows as text, NULL as "". A Sync ends
// it, so that an error costs nothing but what a savepoint brings back.
func (s *session) ask(ctx context.Context, text string) ([][]string, error) {
	q := &inquiry{synced: true, rows: [][]string{}}
	e := &expected{kind: awaitInquiry, inquiry: q}
	if !s.push(e) {
		return nil, abortedRefusal
	}
	name := append([]byte(inquiryName), 0)
	statement, portal := slices.Concat([]byte{'S'}, name), slices.Concat([]byte{'P'}, name)
	// A question that has failed has left its statement.
	message := appendMessage(nil, msgClose, statement)
	message = appendMessage(message, msgParse, name, append([]byte(text), 0), []byte{0, 0})
	message = appendMessage(message, msgBind, name, name, make([]byte, 6))
	message = appendMessage(message, msgExecute, name, make([]byte, 4))
	message = appendMessage(message, msgClose, portal)
	message = appendMessage(message, msgClose, statement)
	if _, err := s.toTarget.Write(append(message, syncMessage...)); err != nil {
		return nil, err
	}
	if err := s.await(ctx, func() bool { return !s.owes(e) }); err != nil {
		return nil, err
	}
	if q.code != "" {
		return nil, &askError{q.code}
	}
	return q.rows, nil
}

// ownRefusal says that the open transaction's catalog could not be read; other
// errors end the session.
func ownRefusal(ctx context.Context, err error) error {
	var refusal *access.Refusal
	if ctx.Err() != nil || errors.As(err, &refusal) {
		return err
	}
	code := stateFeatureNotSupported
	var target *askError
	if errors.As(err, &target) {
		code = target.code
	}
	return &access.Refusal{
		Reason: access.ReasonUnavailable, Code: code,
		Message: fmt.Sprintf("the target did not tell what names mean after the changes of this transaction (%s)", strings.ReplaceAll(err.Error(), "\n", "; ")),
		Hint:    "Try again; a lower statement_timeout than the target can answer in has this effect.",
	}
}

// reboundRefusal: what a portal reads was settled when it was bound.
var reboundRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
	Message: "names were dropped, renamed or moved since this portal was bound, so that the proxy cannot tell what it stands for",
	Hint:    "Bind again after the change.",
}

// forgetCreated forgets what the session has made and the catalog now knows.
func (s *session) forgetCreated() {
	if len(s.created) > 0 {
		clear(s.created)
		maps.DeleteFunc(s.behind, func(name string, _ []sql.Access) bool { return !strings.HasPrefix(name, catalog.TempSchema+".") })
		s.generation++
	}
}

var movedRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
	Message: "names were dropped, renamed or moved inside this transaction, and the proxy cannot tell what a statement means until it ends",
	Hint:    "Send the statements one by one, in a transaction that BEGIN has begun, at isolation level READ COMMITTED; or COMMIT first.",
}
