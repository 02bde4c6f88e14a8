// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// SQLSTATE codes that the proxy answers with.
const (
	codeAdminShutdown    = "57P01"
	codeCannotConnectNow = "57P03"
	codeInsufficient     = "42501"
)

// caller is who connects, and session what they get.
type (
	caller  = issuer.Request
	session = stacktest.Session
)

var alice = caller{User: "alice", Groups: []string{"analysts"}}

// dial opens a session at the shop's proxy.
func dial(ctx context.Context, who caller) (*session, error) {
	return stacktest.Dial(ctx, world, world.Proxy(), who)
}

// login opens a session at the shop's proxy that ends with the test.
func login(t *testing.T, who caller) *session {
	t.Helper()
	return stacktest.Login(t, world, world.Proxy(), who)
}

// visit opens a session at a proxy as alice, asks, and leaves.
func visit(t *testing.T, proxy *stack.Proxy) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	stacktest.Must(t, stacktest.Visit(ctx, world, proxy, alice, "SELECT 1"))
}

// end waits until the proxy ends the idle session, and returns what it said and when.
func end(ctx context.Context, s *session) (*pgconn.PgError, time.Time, error) {
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
	token, err := world.Issuer.TokenFor(who)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(dir, "psql"), "-X", "-w", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", world.PSQL(world.Proxy()))
	command.Env = append(command.Environ(), "PGPASSWORD="+token)
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
