// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
)

var _ protocol.LoginWatcher = (*handler)(nil)

// What the proxy's own connections are called at the target: no name of a session,
// which has two colons.
const (
	namePrefix    = "doorward:"
	catalogPrefix = namePrefix + "catalog-"
	loginsPrefix  = namePrefix + "logins-"
)

// sessionTail is how much of a session's name is at the end of its
// application_name; the proxy's tag is at the beginning of that.
const sessionTail = 16

// catalogName is what a connection is called that reads the catalog for a session.
func catalogName(session string) string {
	return catalogPrefix + tagOfSession(session)
}

func tagOfSession(session string) string {
	if len(session) > sessionTail {
		session = session[len(session)-sessionTail:]
	}
	return session[:min(len(session), access.TagLength)]
}

// tagOf is the tag of the proxy that an application_name says to be of; empty for
// none.
func tagOf(name string) string {
	rest, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return ""
	}
	tag := ""
	if colon := strings.LastIndexByte(rest, ':'); colon >= 0 {
		if session := rest[colon+1:]; len(session) == sessionTail {
			tag = session[:access.TagLength]
		}
	} else if _, after, found := strings.Cut(rest, "-"); found {
		tag = after
	}
	if len(tag) != access.TagLength || strings.Trim(tag, access.TagAlphabet) != "" {
		return ""
	}
	return tag
}

// lookBound is how long one look may take.
const lookBound = 10 * time.Second

// queryLogins reads who is logged in: all columns as text. Of roles that the
// proxy's has no part in, PostgreSQL shows neither address nor times nor the kind of
// process to whoever is not in pg_read_all_stats (pgstatfuncs.c, HAS_PGSTAT_PERMISSIONS).
const queryLogins = `
SELECT pid, usename, usename OPERATOR(pg_catalog.=) session_user, pg_catalog.host(client_addr), client_port, datname, application_name,
 (EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) backend_start) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8,
 pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM pg_catalog.pg_stat_activity
WHERE usename IS NOT NULL AND (backend_type IS NULL OR backend_type OPERATOR(pg_catalog.=) ANY ('{client backend,walsender}')) AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()`

// WatchLogins implements protocol.LoginWatcher: it stays connected and reads
// pg_stat_activity, with the rights that the credential's role has.
func (h *handler) WatchLogins(ctx context.Context, watch *access.LoginWatch) error {
	o, err := parseOptions(watch.Options())
	if err != nil {
		return err
	}
	if o.ForeignLogins.Roles == rolesNone {
		return access.ErrNotWatched
	}
	conn, err := h.enterToWatch(ctx, watch, o)
	if err != nil {
		return err
	}
	left := h.backends.enter(watch.Target(), conn.PID())
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeBound)
		defer cancel()
		_ = conn.Close(closing)
		left()
	}()
	if err := settle(ctx, conn); err != nil {
		return err
	}
	for watch.Next(ctx) {
		logins, err := h.look(ctx, watch, conn, o.ForeignLogins)
		if err != nil {
			return fmt.Errorf("cannot read pg_stat_activity: %w", err)
		}
		if err := watch.Saw(ctx, logins); err != nil {
			return err
		}
	}
	return nil
}

func (h *handler) enterToWatch(ctx context.Context, watch *access.LoginWatch, o options) (*pgconn.PgConn, error) {
	up, err := watch.Reach(ctx)
	if err != nil {
		return nil, err
	}
	o.TargetSessionAttrs = attrsAny
	conn, err := prove(ctx, watch, up, o, o.Databases[0], map[string]string{"application_name": loginsPrefix + watch.Tag()})
	if err != nil {
		_ = up.Conn.Close() // often closed already
		return nil, fmt.Errorf("cannot log in to look at pg_stat_activity: %w", err)
	}
	return conn, nil
}

// errPooled says that the target is a pooler: its processes are not those that the
// server behind it shows.
var errPooled = &access.Refusal{
	Reason:  access.ReasonUnavailable,
	Message: "the target is a connection pooler, behind which no login can be told from another",
	Hint:    "Let spec.targets name the servers themselves, or set options.foreignLogins.roles to None.",
}

// settle finds out whether the server itself answers, and gives up what the looks
// do not need.
func settle(ctx context.Context, conn *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	rows, err := queryText(ctx, conn, "SELECT pg_catalog.pg_backend_pid()")
	if err != nil || len(rows) != 1 {
		return fmt.Errorf("cannot ask for the server's process: %w", err)
	}
	if rows[0][0] != strconv.FormatUint(uint64(conn.PID()), 10) {
		return errPooled
	}
	_, err = queryText(ctx, conn, "SET search_path TO pg_catalog; SET default_transaction_read_only TO on; SET statement_timeout TO "+
		strconv.FormatInt(lookBound.Milliseconds(), 10))
	return err
}

// look reads who is logged in, but for this connection itself.
func (h *handler) look(ctx context.Context, watch *access.LoginWatch, conn *pgconn.PgConn, o foreignLoginsOptions) ([]access.TargetLogin, error) {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	own := h.backends.look(watch.Target())
	rows, err := queryText(ctx, conn, queryLogins)
	if err != nil {
		return nil, err
	}
	shown := map[uint32]bool{}
	logins := make([]access.TargetLogin, 0, len(rows))
	pids := make([]uint32, 0, len(rows))
	for _, row := range rows {
		pid, login, err := readLogin(row)
		if err != nil {
			return nil, err
		}
		shown[pid] = true
		if !login.OwnRole && (o.Roles != rolesAll || slices.Contains(o.Except, login.Role)) {
			continue
		}
		logins, pids = append(logins, login), append(pids, pid)
	}
	own.answered(shown)
	for i := range logins {
		logins[i].Mine = own.has(pids[i], logins[i].Age)
	}
	return logins, nil
}

// readLogin reads a row of queryLogins. What PostgreSQL does not show is NULL,
// here empty.
func readLogin(row []string) (uint32, access.TargetLogin, error) {
	if len(row) != 9 {
		return 0, access.TargetLogin{}, fmt.Errorf("%d columns, want 9", len(row))
	}
	pid, err := strconv.ParseUint(row[0], 10, 32)
	if err != nil {
		return 0, access.TargetLogin{}, fmt.Errorf("invalid process: %q", row[0])
	}
	login := access.TargetLogin{
		ID: row[0], Role: row[1], OwnRole: row[2] == "t", Database: row[5], Name: row[6], Tag: tagOf(row[6]),
	}
	switch {
	case row[3] != "":
		login.Address = net.JoinHostPort(row[3], row[4])
	case row[4] == "-1":
		login.Address = "local socket" // pg_stat_activity's documentation, client_port
	}
	if row[7] != "" {
		age, err := strconv.ParseInt(row[7], 10, 64)
		if err != nil {
			return 0, access.TargetLogin{}, fmt.Errorf("invalid age: %q", row[7])
		}
		login.Age = time.Duration(age) * time.Millisecond
	}
	if row[8] != "" {
		login.ID += "/" + row[8]
	}
	return uint32(pid), login, nil
}
