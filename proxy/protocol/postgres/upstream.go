// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/snapshot"
)

// connectBound is how long reaching the target and proving oneself may take.
const connectBound = 15 * time.Second

// upstream is a connection to the target, proven on both sides.
type upstream struct {
	conn net.Conn
	// address is the one of the Connection's targets that answered.
	address snapshot.Target
	pid     uint32
	secret  []byte
	status  map[string]string
}

// enforced are the settings that the meaning of a statement's text rests on;
// a target that reports another value ends the session.
var enforced = map[string]string{
	"client_encoding":             "UTF8",
	"standard_conforming_strings": "on",
}

// connect opens and proves a connection under the stored credential. The
// returned connection must be closed.
func connect(ctx context.Context, grant *access.Grant, database string, parameters map[string]string) (*pgconn.PgConn, snapshot.Target, error) {
	up, err := grant.Dial(ctx)
	if err != nil {
		return nil, snapshot.Target{}, err
	}
	conn, err := prove(ctx, grant, up, database, parameters)
	if err != nil {
		// Closing twice does no harm; pgconn closes on most of its own errors.
		_ = up.Conn.Close()
		return nil, snapshot.Target{}, connectRefusal(err)
	}
	return conn, up.Target, nil
}

func prove(ctx context.Context, grant *access.Grant, up access.Upstream, database string, parameters map[string]string) (*pgconn.PgConn, error) {
	secured, err := grant.TLS(up.Target)
	if err != nil {
		return nil, err
	}
	// The string names every setting that pgconn would look for in the
	// environment or the file system before it is overridden below.
	config, err := pgconn.ParseConfig("host=target port=5432 user=target password=target dbname=target sslmode=disable " +
		"passfile=/dev/null servicefile=/dev/null target_session_attrs=any")
	if err != nil {
		return nil, fmt.Errorf("cannot configure the connection to the target: %w", err)
	}
	config.Host, config.Port = up.Target.Host, uint16(up.Target.Port) //nolint:gosec // validated by the API
	config.User, config.Password, config.Database = up.Credential.Username(), up.Credential.Password(), database
	config.TLSConfig, config.Fallbacks, config.ValidateConnect, config.AfterConnect = secured, nil, nil, nil
	config.RequireAuth = "scram-sha-256,password,md5,none"
	if secured == nil {
		// A password that a listener on the way could read or crack is never sent.
		config.RequireAuth = "scram-sha-256,none"
	}
	config.ConnectTimeout = connectBound
	config.MaxProtocolMessageBodyLen = maxBackendBuffered
	config.RuntimeParams = map[string]string{}
	for name, value := range parameters {
		config.RuntimeParams[name] = value
	}
	for name, value := range enforced {
		config.RuntimeParams[name] = value
	}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{up.Target.Host}, nil }
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return up.Conn, nil }
	return pgconn.ConnectConfig(ctx, config)
}

// connectRefusal says what went wrong without what the target said, which may
// name the credential's user. Only a bad startup parameter is the caller's own.
func connectRefusal(err error) error {
	var refusal *access.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	var target *pgconn.PgError
	if errors.As(err, &target) {
		switch target.Code {
		case stateInvalidParameter:
			return &access.Refusal{Reason: access.ReasonProtocol, Code: target.Code, Message: target.Message}
		case stateInvalidCatalog:
			return &access.Refusal{Reason: access.ReasonUnavailable, Code: target.Code, Message: "the target has no such database", Hint: "Ask an admin to look at spec.options.databases of the Connection."}
		case stateTooManyConnections, stateCannotConnectNow:
			return &access.Refusal{Reason: access.ReasonUnavailable, Code: target.Code, Message: "the target takes no more connections now", Hint: "Try again later."}
		}
	}
	return &access.Refusal{
		Reason: access.ReasonUnavailable, Message: "the target could not be reached or did not accept the proxy",
		Hint: "Try again; if it lasts, ask an admin to look at the Connection's TLS settings and credential.",
	}
}

// openSession connects for a session, reads its search path and takes the
// connection over from pgconn.
func openSession(ctx context.Context, grant *access.Grant, database string, parameters map[string]string) (*upstream, []string, error) {
	conn, address, err := connect(ctx, grant, database, parameters)
	if err != nil {
		return nil, nil, err
	}
	up, path, err := takeOver(ctx, conn)
	if err != nil {
		_ = conn.Conn().Close()
		return nil, nil, connectRefusal(err)
	}
	up.address = address
	return up, path, nil
}

func takeOver(ctx context.Context, conn *pgconn.PgConn) (*upstream, []string, error) {
	path, err := schemas(ctx, conn, true)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SyncConn(ctx); err != nil {
		return nil, nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, nil, err
	}
	// What pgconn has read ahead can only be what a server says unasked.
	for hijacked.Frontend.ReadBufferLen() > 0 {
		message, err := hijacked.Frontend.Receive()
		if err != nil {
			return nil, nil, err
		}
		switch m := message.(type) {
		case *pgproto3.ParameterStatus:
			hijacked.ParameterStatuses[m.Name] = m.Value
		case *pgproto3.NoticeResponse:
		default:
			return nil, nil, fmt.Errorf("target sent %T before anything was asked", message)
		}
	}
	for name, want := range enforced {
		if got := hijacked.ParameterStatuses[name]; got != want {
			return nil, nil, fmt.Errorf("target reports %s = %q, want %q", name, got, want)
		}
	}
	return &upstream{
		conn: hijacked.Conn, pid: hijacked.PID, secret: hijacked.SecretKey, status: hijacked.ParameterStatuses,
	}, path, nil
}

// schemas reads the effective search path.
func schemas(ctx context.Context, conn *pgconn.PgConn, implicit bool) ([]string, error) {
	rows, err := queryText(ctx, conn, fmt.Sprintf(
		"SELECT s FROM pg_catalog.unnest(pg_catalog.current_schemas(%t)) WITH ORDINALITY AS u(s, n) ORDER BY n", implicit))
	if err != nil {
		return nil, err
	}
	path := make([]string, 0, len(rows))
	for _, row := range rows {
		path = append(path, row[0])
	}
	return path, nil
}

// queryText runs one statement over the simple protocol, NULL as "".
func queryText(ctx context.Context, conn *pgconn.PgConn, text string) ([][]string, error) {
	results, err := conn.Exec(ctx, text).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, result := range results {
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for i, value := range values {
				row[i] = string(value)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// quotePath makes a search_path setting of schema names as they are.
func quotePath(path []string) string {
	quoted := make([]string, 0, len(path))
	for _, schema := range path {
		quoted = append(quoted, `"`+strings.ReplaceAll(schema, `"`, `""`)+`"`)
	}
	if len(quoted) == 0 {
		return `""`
	}
	return strings.Join(quoted, ", ")
}

// applicationName shows the actor in the target's own log and views, within
// NAMEDATALEN and as the printable ASCII that the server would make of it.
func applicationName(p identity.Principal, session string) string {
	const tail = 16
	if len(session) > tail {
		session = session[len(session)-tail:]
	}
	const prefix = "doorward:"
	actor := make([]byte, 0, maxIdentifier)
	for _, r := range p.UserName {
		if r < ' ' || r > '~' {
			r = '?'
		}
		actor = append(actor, byte(r))
	}
	if most := maxIdentifier - len(prefix) - 1 - len(session); len(actor) > most {
		actor = actor[:most]
	}
	return prefix + string(actor) + ":" + session
}

// cancelRunning asks the target to cancel what the connection runs. The request
// goes to the very address, encrypted where the Connection has TLS.
func (u *upstream) cancelRunning(ctx context.Context, grant *access.Grant) error {
	up, err := grant.Redial(ctx, u.address)
	if err != nil {
		return err
	}
	defer up.Conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = up.Conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = up.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := secureTarget(ctx, grant, up)
	if err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint32(nil, uint32(12+len(u.secret))) //nolint:gosec // at most 256 bytes
	request = binary.BigEndian.AppendUint32(request, codeCancel)
	request = binary.BigEndian.AppendUint32(request, u.pid)
	if _, err := conn.Write(append(request, u.secret...)); err != nil {
		return err
	}
	// The server closes once the signal has been sent.
	_, _ = conn.Read(make([]byte, 1))
	return nil
}

// secureTarget asks a target for TLS and takes the handshake, where the
// Connection has TLS.
func secureTarget(ctx context.Context, grant *access.Grant, up access.Upstream) (net.Conn, error) {
	config, err := grant.TLS(up.Target)
	if err != nil || config == nil {
		return up.Conn, err
	}
	request := binary.BigEndian.AppendUint32(nil, 8)
	if _, err := up.Conn.Write(binary.BigEndian.AppendUint32(request, codeTLS)); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(up.Conn, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, errors.New("target refused TLS")
	}
	secured := tls.Client(up.Conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}
