// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// names is what the names of the session's statements rest on besides the
// catalog: the search path, and the role, which "$user" and the right to use a
// schema depend on. PostgreSQL does not report either, so that the target is
// asked whenever one may have changed, before the next statement is read.
type names struct {
	// The requests pump's: the catalog under which was asked, who the session
	// was when it began, and whether the end of the transaction may bring back
	// another path.
	asked     *catalog.Catalog
	user      string
	unsettled bool

	// stale, changed and cursors are guarded by the session's mu. stale says that
	// the target must be asked again, changed that the path may have changed in the
	// transaction, so that its end may change it again; cursors that one was
	// declared whose rows may change it.
	stale, changed, cursors bool
}

// forwarded notes a statement that goes to the target. The session's mu is held.
func (n *names) forwarded(st *sql.Statement, role string) {
	e := &st.Effects
	switch {
	case e.ChangesPath, st.MayLeave(role != "", n.cursors):
		n.stale, n.changed = true, true
		n.cursors = n.cursors || e.DeclaresCursor != ""
	case e.IsDDL, e.MayChangeCatalog, n.changed && st.RestoresSettings():
		// A schema may have come into the path, or gone.
		n.stale = true
	}
}

// ended notes the end of a transaction. The session's mu is held.
func (n *names) ended() {
	n.stale, n.changed = n.stale || n.changed, false
}

// queryNames tells the role, then the search path in its order. Names are
// qualified: it runs under whatever path there is.
const queryNames = "SELECT s FROM pg_catalog.unnest(pg_catalog.array_prepend(current_user, pg_catalog.current_schemas(true))) WITH ORDINALITY AS u(s, n) ORDER BY n"

// reread are the settings that decide how a text is read. PostgreSQL reports their
// changes only where a segment ends, and reads what stands before that with them.
var reread = []string{"standard_conforming_strings", "client_encoding"}

// queryReading is queryNames, behind the values of reread.
const queryReading = "SELECT s FROM pg_catalog.unnest(pg_catalog.array_cat(ARRAY[pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('client_encoding'), " +
	"current_user::pg_catalog.text], pg_catalog.current_schemas(true)::pg_catalog.text[])) WITH ORDINALITY AS u(s, n) ORDER BY n"

// settleNames sees to it that the search path is known under which the target
// will read what comes next.
func (s *session) settleNames(ctx context.Context, cat *loaded) error {
	n := &s.names
	if !s.namesMoved(cat) {
		return nil
	}
	if err := s.idle(ctx); err != nil {
		return err
	}
	if !s.namesMoved(cat) {
		return nil // the end of a segment was answered, and brought nothing back
	}
	rows, err := s.inquire(ctx, queryReading, func() { n.stale = false })
	if err != nil || rows == nil {
		return err
	}
	for i, name := range reread {
		if want, watched := s.watched[name]; watched && (len(rows) <= i || rows[i] != want) {
			return readingRefusal(name)
		}
	}
	rows = rows[min(len(rows), len(reread)):]
	if len(rows) == 0 || rows[0] != n.user {
		return lostRoleRefusal
	}
	s.foundNames(rows, cat)
	return nil
}

// cursorsRun says that a cursor's rows may change the search path or the role.
func (s *session) cursorsRun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names.cursors
}

// between says that the session is between two transactions: there the question
// takes nobody's snapshot, so that it is asked early.
func (s *session) between() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status == 'I' && !s.open && !s.owed()
}

// beginNames takes what the target told when the session began.
func (s *session) beginNames(found []string, cat *loaded) error {
	role := s.grant.TargetRole()
	if len(found) == 0 || role != "" && found[0] != role {
		return roleRefusal(s.grant, role, nil)
	}
	s.foundNames(found, cat)
	return nil
}

func (s *session) foundNames(found []string, cat *loaded) {
	s.names.user, s.names.asked = found[0], cat.Catalog
	s.path, s.pathKey = found[1:], quotePath(found[1:])
}

// roleFailure says of a target that did not take the role that it is so.
func roleFailure(grant *access.Grant, role string, err error) error {
	var target *pgconn.PgError
	if role == "" || !errors.As(err, &target) || !strings.Contains(target.Message, "role") {
		return err
	}
	switch target.Code {
	case stateInsufficient, stateInvalidParameter, stateUndefinedObject:
		return roleRefusal(grant, role, err)
	}
	return err
}

func roleRefusal(grant *access.Grant, role string, cause error) error {
	return grant.Trouble(&access.Refusal{
		Reason: access.ReasonUnavailable, Code: stateInsufficient,
		Message: fmt.Sprintf("the target did not let the session act as the role %q that the policies ask for (targetRole)", role),
		Hint:    "Ask an admin to GRANT that role to the Connection's credential.",
	}, cause)
}

// namesMoved says whether the target must be asked for the search path: where it
// may have changed, or where the end of a segment that has not been answered may
// bring back another one.
func (s *session) namesMoved(cat *loaded) bool {
	n := &s.names
	s.mu.Lock()
	defer s.mu.Unlock()
	n.unsettled = n.changed
	return n.stale || n.asked != cat.Catalog || n.changed && s.owesEnd()
}

// owesEnd says whether the target owes the end of a segment. The session's mu is held.
func (s *session) owesEnd() bool {
	return slices.ContainsFunc(s.queue[s.head:], func(e *expected) bool { return e.kind == awaitSync || e.kind == awaitQuery })
}

// lostRoleRefusal ends a session that acts as another role than it began as.
var lostRoleRefusal = &access.Refusal{
	Reason: access.ReasonSessionEnded, Code: stateInsufficient,
	Message: "the session's role at the target was changed by what it ran, so that the session was ended",
	Hint:    "Reconnect, and do not change the role.",
}

// readingRefusal ends a session in which the target reads texts otherwise.
func readingRefusal(name string) *access.Refusal {
	return &access.Refusal{
		Reason: access.ReasonSessionEnded, Code: stateInsufficient,
		Message: fmt.Sprintf("the session's %s was changed by what it ran, so that the session was ended", name),
		Hint:    "Reconnect, and do not change it.",
	}
}

// pathAfter is the search path that SET with a list of names will lead to: those
// of them that are there and may be used (search_path in the PostgreSQL manual,
// section 20.11.1).
func (s *session) pathAfter(ctx context.Context, list []string) ([]string, error) {
	quoted := make([]string, 0, len(list))
	for _, name := range list {
		quoted = append(quoted, "'"+strings.ReplaceAll(name, "'", "''")+"'")
	}
	rows, err := s.inquire(ctx, "SELECT n.nspname FROM pg_catalog.unnest(ARRAY["+strings.Join(quoted, ",")+"]::pg_catalog.text[]) WITH ORDINALITY AS u(s, i) "+
		"JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) u.s OR u.s OPERATOR(pg_catalog.=) '$user'::pg_catalog.text AND n.nspname OPERATOR(pg_catalog.=) current_user "+
		"WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE') ORDER BY i", func() {})
	if err == nil && rows == nil {
		err = abortedRefusal
	}
	return rows, err
}

// inquiryName is the statement and the portal of the proxy's own questions.
// Clients' names are refused where they begin like it.
const inquiryName = reservedName + "_names"

// inquiry is a question of the proxy's own, on the session's connection.
type inquiry struct {
	// synced says that a Sync follows the question, so that ReadyForQuery ends it.
	synced bool
	values []string
	// rows are taken in the place of values where they are not nil.
	rows   [][]string
	closed int
	code   string // of the error
}

// inquire asks the target something that gives one column of text, between the
// client's messages: nothing is owed then, and nothing of the client's follows
// before the answer. asking is called, with mu held, when it is sure that it is
// asked. The values are nil where the target skips all that follows anyway.
func (s *session) inquire(ctx context.Context, text string, asking func()) ([]string, error) {
	if err := s.idle(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	skipped, failed := s.skipped, s.status == 'E'
	if !skipped && !failed {
		asking()
	}
	s.mu.Unlock()
	switch {
	case skipped:
		return nil, nil
	case failed:
		return nil, abortedRefusal
	}
	q := &inquiry{synced: !s.open, values: []string{}}
	e := &expected{kind: awaitInquiry, inquiry: q}
	if !s.push(e) {
		return nil, nil
	}
	name := append([]byte(inquiryName), 0)
	message := appendMessage(nil, msgParse, name, append([]byte(text), 0), []byte{0, 0})
	message = appendMessage(message, msgBind, name, name, make([]byte, 6))
	message = appendMessage(message, msgExecute, name, make([]byte, 4))
	message = appendMessage(message, msgClose, []byte{'P'}, name)
	message = appendMessage(message, msgClose, []byte{'S'}, name)
	if q.synced {
		message = append(message, syncMessage...)
	} else {
		message = append(message, flushMessage...)
	}
	if _, err := s.toTarget.Write(message); err != nil {
		return nil, err
	}
	if err := s.await(ctx, func() bool { return !s.owes(e) }); err != nil {
		return nil, err
	}
	if q.code != "" {
		return nil, &access.Refusal{
			Reason: access.ReasonUnavailable, Code: q.code,
			Message: fmt.Sprintf("the target did not tell the session's search path (SQLSTATE %s), so that the proxy cannot tell what names mean", q.code),
			Hint:    "Try again; a lower statement_timeout than the target can answer in has this effect.",
		}
	}
	return q.values, nil
}

// inquired takes one message of the answer to a question of the proxy's own.
func (s *session) inquired(e *expected, kind byte, raw []byte) error {
	q := e.inquiry
	switch kind {
	case msgParseComplete, msgBindComplete, msgCommandComplete:
		return nil
	case msgDataRow:
		b := body{rest: raw[headerLength:]}
		if q.rows != nil {
			row := make([]string, b.count("columns"))
			for i := range row {
				if n := b.int32("length"); n >= 0 {
					row[i] = string(b.bytes(n, "value"))
				}
			}
			q.rows = append(q.rows, row)
			return b.done()
		}
		if b.count("columns") != 1 {
			return outOfTurn(kind)
		}
		q.values = append(q.values, string(b.bytes(b.int32("length"), "value")))
		return b.done()
	case msgCloseComplete:
		q.closed++
		if q.closed < 2 || q.synced {
			return nil
		}
		s.mu.Lock()
		s.pop()
		s.mu.Unlock()
		return nil
	case msgReady:
		if q.synced && len(raw) == headerLength+1 {
			return s.ready(e, raw)
		}
	}
	return outOfTurn(kind)
}

// abortedRefusal is what the server says in a transaction that has failed.
var abortedRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: "25P02",
	Message: "current transaction is aborted, commands ignored until end of transaction block",
	Hint:    "ROLLBACK, by itself.",
}

// repathedRefusal: what a portal's names stand for was settled when it was bound.
var repathedRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
	Message: "the search path is another than when this portal was bound, so that the proxy cannot tell what its names mean",
	Hint:    "Bind again after the change.",
}

// textRefusal: what text becomes, nobody can tell, and nothing at the target keeps a
// session within a role that it was given.
func textRefusal(role string) *access.Refusal {
	return &access.Refusal{
		Reason: access.ReasonNotAllowed, Code: stateInsufficient,
		Message: fmt.Sprintf("blocks, functions' definitions and functions that run text are refused in a session that is kept within the role %q (targetRole)", role),
		Hint:    "Ask an admin for a Connection whose credential is that role's own.",
	}
}

// rewritten is a text as it goes to the target: statements that the proxy sends
// in another form are replaced.
func rewritten(text string, operations []*operation) string {
	var out strings.Builder
	at := 0
	for _, op := range operations {
		st := op.statement
		if st.Effects.Forward != "" {
			out.WriteString(text[at:st.Start])
			out.WriteString(st.Effects.Forward)
			at = st.Start + len(st.Text)
		}
	}
	out.WriteString(text[at:])
	return out.String()
}
