// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
)

// SQLSTATE codes that the proxy answers with.
const (
	codeAdminShutdown    = "57P01"
	codeCannotConnectNow = "57P03"
	codeInsufficient     = "42501"
)

// caller is who connects.
type caller struct {
	user     string
	groups   []string
	audience string
}

var alice = caller{user: "alice", groups: []string{"analysts"}}

func (c caller) token(t *testing.T) string {
	t.Helper()
	request := issuer.Request{User: c.user, Groups: c.groups, Audience: c.audience}
	if request.Audience == "" {
		request.Audience = stack.GatewayAudience
	}
	token, err := world.Issuer.TokenFor(request)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// session is one session of pgx's connection.
type session struct {
	*pgconn.PgConn
	notices chan *pgconn.Notice
	// local is the client's address, by which the AuditSession is found, and began
	// when it came: ports are used again.
	local string
	began time.Time
}

// dial opens a session.
func dial(ctx context.Context, t *testing.T, who caller) (*session, error) {
	t.Helper()
	config, err := pgconn.ParseConfig(world.PSQL(world.Proxy()) + " connect_timeout=20")
	if err != nil {
		t.Fatal(err)
	}
	config.Password = who.token(t)
	s := &session{notices: make(chan *pgconn.Notice, 16), began: time.Now()}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { s.notices <- notice }
	config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		s.local = conn.LocalAddr().String()
		return conn, nil
	}
	if s.PgConn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, err
	}
	return s, nil
}

// login opens a session that ends with the test.
func login(t *testing.T, who caller) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	s, err := dial(ctx, t, who)
	if err != nil {
		t.Fatalf("%s cannot log in: %v", who.user, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// run executes one text in the simple protocol and returns the rows of its last
// statement, fields joined by "|".
func (s *session) run(ctx context.Context, statement string) ([]string, error) {
	results, err := s.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var rows []string
	for _, row := range results[len(results)-1].Rows {
		fields := make([]string, len(row))
		for i, field := range row {
			fields[i] = string(field)
		}
		rows = append(rows, strings.Join(fields, "|"))
	}
	return rows, nil
}

// must is run where nothing may fail.
func (s *session) must(t *testing.T, statement string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	rows, err := s.run(ctx, statement)
	if err != nil {
		t.Fatalf("%q: %v", statement, err)
	}
	return rows
}

// part leaves as a well-behaved client does.
func (s *session) part(t *testing.T) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("cannot leave: %v", err)
	}
}

// end waits until the proxy ends the idle session, and returns what it said and when.
func (s *session) end(ctx context.Context) (*pgconn.PgError, time.Time, error) {
	err := s.WaitForNotification(ctx)
	now := time.Now()
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return nil, now, fmt.Errorf("want an ErrorResponse: %w", err)
	}
	return said, now, nil
}

// refusal is what the proxy answered with.
func refusal(t *testing.T, err error) *pgconn.PgError {
	t.Helper()
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		t.Fatalf("want a refusal, got: %v", err)
	}
	return said
}

// wants fails the test where an answer has another code or lacks a text.
func wants(t *testing.T, said *pgconn.PgError, code string, texts ...string) {
	t.Helper()
	if said.Code != code {
		t.Errorf("answer has code %s, want %s: %s %s", said.Code, code, said.Message, said.Hint)
	}
	whole := said.Message + "\n" + said.Detail + "\n" + said.Hint
	for _, text := range texts {
		if !strings.Contains(whole, text) {
			t.Errorf("answer lacks %q: %s", text, whole)
		}
	}
}

// psql is a running psql.
type psql struct {
	in   io.WriteCloser
	out  *bufio.Reader
	done chan error
}

// startPSQL runs psql until its input is closed.
func startPSQL(t *testing.T, who caller) *psql {
	t.Helper()
	dir, err := pgtest.BinDir()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(dir, "psql"), "-X", "-w", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", world.PSQL(world.Proxy()))
	command.Env = append(command.Environ(), "PGPASSWORD="+who.token(t))
	p := &psql{done: make(chan error, 1)}
	if p.in, err = command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, input := io.Pipe()
	command.Stdout, command.Stderr = input, input
	p.out = bufio.NewReader(output)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := command.Wait()
		p.done <- errors.Join(err, input.Close())
	}()
	t.Cleanup(func() { _ = p.in.Close(); _ = output.Close() })
	return p
}

// ask sends a statement and returns the line it is answered with.
func (p *psql) ask(statement string) (string, error) {
	if _, err := io.WriteString(p.in, statement+"\n"); err != nil {
		return "", fmt.Errorf("psql takes no input any more: %w", err)
	}
	line, err := p.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// quit ends psql, whatever it still has to say.
func (p *psql) quit() error {
	_ = p.in.Close()
	if _, err := io.Copy(io.Discard, p.out); err != nil {
		return err
	}
	return <-p.done
}
