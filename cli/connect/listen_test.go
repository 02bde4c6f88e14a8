// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/connect"
	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// locked is a buffer for several goroutines.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// local is a running "connect --listen" of alice's.
type local struct {
	// said are the lines that say what to type, by their first word.
	said      map[string]string
	tokenFile string
	errOut    *locked
}

// open runs the command for the shop's database.
func open(t *testing.T, where string) *local {
	t.Helper()
	return openTo(t, stack.Connection, where)
}

// openTo runs the command until the test ends, and checks that it leaves nothing behind.
func openTo(t *testing.T, connection, where string) *local {
	t.Helper()
	leftBefore := goleak.IgnoreCurrent()
	own, err := person(t.TempDir(), "alice", "analysts")
	stacktest.Must(t, err)
	for name, value := range own {
		t.Setenv(name, value)
	}
	enter := login.NewLogin(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard})
	enter.SetArgs([]string{"--token-file", own["TOKEN"]})
	stacktest.Must(t, enter.ExecuteContext(t.Context()))

	read, write := io.Pipe()
	l := &local{said: map[string]string{}, tokenFile: own["TOKEN"], errOut: &locked{}}
	command := connect.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: write, ErrOut: l.errOut})
	command.SetArgs([]string{connection, "--namespace", stack.Namespace, "--listen=" + where})
	command.SilenceErrors, command.SilenceUsage = true, true
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		ended <- errors.Join(err, write.CloseWithError(err))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the command ended with %v", err)
		}
		// client-go keeps connections to the API server for who comes next; the forwarder
		// before it is the test's own.
		goleak.VerifyNone(t, leftBefore, goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"),
			goleak.IgnoreAnyFunction("github.com/doorward/doorward/test/relay.(*Relay).relay"),
			goleak.IgnoreAnyFunction("github.com/doorward/doorward/test/relay.(*Relay).pump"))
	})
	lines := bufio.NewScanner(read)
	for lines.Scan() && !strings.Contains(lines.Text(), "Press Ctrl-C") {
		if name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), " "); ok {
			l.said[name] = strings.TrimSpace(value)
		}
	}
	if l.said["password"] == "" {
		t.Fatalf("the command does not say what to type: %v: %s", l.said, l.errOut)
	}
	return l
}

func dial(t *testing.T, dsn string) (*pgconn.PgConn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	conn, err := pgconn.Connect(ctx, dsn)
	if err == nil {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = conn.Close(ctx)
		})
	}
	return conn, err
}

func ask(t *testing.T, conn *pgconn.PgConn, statement string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	results, err := conn.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 || len(results[0].Rows) == 0 {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

func code(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Code
	}
	return ""
}

func TestListen(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	conn, err := dial(t, l.said["URL"])
	stacktest.Must(t, err)
	if got, err := ask(t, conn, "SELECT 'through'"); err != nil || got != "through" {
		t.Errorf("%q: %v", got, err)
	}
	// What the target reports of the session, the client sees.
	if got := conn.ParameterStatus("server_version"); got == "" {
		t.Error("the client is not told the server's version")
	}
	// Policies decide as ever.
	if _, err := ask(t, conn, "DROP TABLE public.orders"); code(err) != "42501" {
		t.Errorf("want a refusal, got %v", err)
	}
	// A client that asks for TLS first is told that there is none, and goes on.
	_, err = dial(t, strings.Replace(l.said["URL"], "sslmode=disable", "sslmode=prefer", 1))
	stacktest.Must(t, err)
}

// A request to cancel reaches the target, and only with the session's own key.
func TestListenCancel(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	conn, err := dial(t, l.said["URL"])
	stacktest.Must(t, err)
	holder, err := dial(t, world.DirectDSN())
	stacktest.Must(t, err)
	if _, err := ask(t, holder, "BEGIN; LOCK TABLE public.orders IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := ask(t, conn, "SELECT count(*) FROM public.orders")
		waited <- err
	}()
	stacktest.Await(t, "the query waits for the lock", func(context.Context) error {
		got, err := ask(t, holder, "SELECT count(*) FROM pg_locks WHERE NOT granted")
		if err == nil && got == "0" {
			err = errors.New("nobody waits yet")
		}
		return err
	})
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	stacktest.Must(t, conn.CancelRequest(ctx))
	if err := <-waited; code(err) != "57014" {
		t.Errorf("want a cancelled query, got %v", err)
	}
	if got, err := ask(t, conn, "SELECT 'alive'"); err != nil || got != "alive" {
		t.Errorf("the session did not outlive it: %q: %v", got, err)
	}
}

// Only whoever has the password of this run gets in.
func TestListenPassword(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	right, err := url.Parse(l.said["URL"])
	stacktest.Must(t, err)
	for name, password := range map[string]string{"Wrong": "wrong", "Empty": "", "Shorter": l.said["password"][1:]} {
		t.Run(name, func(t *testing.T) {
			wrong := *right
			wrong.User = url.UserPassword("alice", password)
			if _, err := dial(t, wrong.String()); code(err) != "28P01" {
				t.Errorf("want 28P01, got %v", err)
			}
		})
	}
	if strings.Contains(l.errOut.String(), l.said["password"]) {
		t.Error("the terminal's errors hold the password")
	}
}

// Each session has a token that is good when it begins: the port outlives tokens.
func TestListenTokens(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	first, err := dial(t, l.said["URL"])
	stacktest.Must(t, err)
	stacktest.Must(t, os.Remove(l.tokenFile))
	if _, err := dial(t, l.said["URL"]); code(err) != "08006" || !strings.Contains(err.Error(), "cannot get the token") {
		t.Errorf("want an error about the token, got %v", err)
	}
	// Somebody whom no policy knows.
	stacktest.Must(t, token(l.tokenFile, "mallory"))
	if _, err := dial(t, l.said["URL"]); code(err) != "28000" && code(err) != "42501" {
		t.Errorf("want the proxy's refusal, got %v", err)
	}
	if got, err := ask(t, first, "SELECT 'still alice'"); err != nil || got != "still alice" {
		t.Errorf("the session that was open did not go on: %q: %v", got, err)
	}
	stacktest.Must(t, token(l.tokenFile, "alice", "analysts"))
	_, err = dial(t, l.said["URL"])
	stacktest.Must(t, err)
}

func TestListenSocket(t *testing.T) {
	folder, err := os.MkdirTemp("", "doorward") //nolint:usetesting // the path of a socket must be short
	stacktest.Must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	l := open(t, "unix:"+filepath.Join(folder, "s"))
	conn, err := dial(t, l.said["URL"])
	stacktest.Must(t, err)
	if got, err := ask(t, conn, "SELECT 'by a socket'"); err != nil || got != "by a socket" {
		t.Errorf("%q: %v", got, err)
	}
}
