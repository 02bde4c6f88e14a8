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
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/snapshot"
)

// upstream is a connection to the target, proven on both sides.
type upstream struct {
	conn net.Conn
	// address is the one of the Connection's targets that was taken.
	address snapshot.Target
	// direct says that TLS to it begins at once.
	direct bool
	pid    uint32
	secret []byte
	status map[string]string
	// gone says that the connection was closed.
	gone func()
}

// enforced are the settings that the meaning of a statement's text rests on;
// a target that reports another value ends the session.
var enforced = map[string]string{
	"client_encoding":             "UTF8",
	"standard_conforming_strings": "on",
}

// takeOver asks for the role and the search path (queryNames), and takes a proven connection from pgconn.
func takeOver(ctx context.Context, conn *pgconn.PgConn) (*upstream, []string, error) {
	rows, err := queryText(ctx, conn, queryNames)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		names = append(names, row[0])
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
		conn: hijacked.Conn, pid: hijacked.PID, secret: slices.Clone(hijacked.SecretKey), status: hijacked.ParameterStatuses,
	}, names, nil
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
	if len(u.secret) == 0 {
		return nil // some poolers hand out no key
	}
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
	conn, err := secureTarget(ctx, grant, up, u.direct)
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

// secureTarget takes the TLS handshake with a target, where the Connection has
// TLS, as the session's own connection did.
func secureTarget(ctx context.Context, grant *access.Grant, up access.Upstream, direct bool) (net.Conn, error) {
	config, err := targetTLS(grant, up, direct)
	if err != nil || config == nil {
		return up.Conn, err
	}
	if !direct {
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
	}
	secured := tls.Client(up.Conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}
