// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package availability

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgconn"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
)

const (
	// startTimeout bounds the start of everything, compilation with the race
	// detector included.
	startTimeout = 15 * time.Minute
	// testTimeout bounds whatever a test waits for.
	testTimeout = 90 * time.Second
	// maxStaleness of the Connection, in seconds: the least there may be.
	maxStaleness = 30
)

var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	log.SetLogger(logr.Discard())
	var err error
	if world, err = stack.Start(ctx, stack.Options{
		Race: true, LeaderElection: true, MaxStalenessSeconds: maxStaleness, Dir: os.Getenv("DOORWARD_KEEP"),
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code = m.Run(); code != 0 {
		showLogs()
	}
	if err := noRaces(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := world.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot stop the stack:", err)
		code = 1
	}
	return code
}

func logs() map[string][]byte {
	found := map[string][]byte{}
	entries, err := os.ReadDir(world.Logs())
	for _, entry := range entries {
		var content []byte
		if content, err = os.ReadFile(filepath.Join(world.Logs(), entry.Name())); err == nil {
			found[entry.Name()] = content
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the programs' logs:", err)
	}
	return found
}

// showLogs shows the ends of the programs' logs: where a test failed on another
// machine, they are all there is.
func showLogs() {
	const tail = 8 << 10
	for name, content := range logs() {
		fmt.Fprintf(os.Stderr, "--- end of %s\n%s\n", name, content[max(0, len(content)-tail):])
	}
}

// noRaces looks into what the programs printed: the race detector of a program
// that is killed does not change its exit status.
func noRaces() error {
	for name, content := range logs() {
		for _, word := range []string{"WARNING: DATA RACE", "panic: "} {
			if i := bytes.Index(content, []byte(word)); i >= 0 {
				return fmt.Errorf("%s: %.4000s", name, content[i:])
			}
		}
	}
	return nil
}

// await asks until there is no error, and fails the test after testTimeout. It
// returns how long it took.
func await(t *testing.T, what string, ask func(context.Context) error) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testTimeout)
	defer cancel()
	if err := stack.Await(ctx, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return time.Since(began)
}

// token is what alice, an analyst, proves herself with.
func token(t *testing.T) string {
	t.Helper()
	text, err := world.Issuer.TokenFor(issuer.Request{User: "alice", Groups: []string{"analysts"}, Audience: stack.GatewayAudience})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// login opens a session through one proxy; it ends with the test.
func login(t *testing.T, p *stack.Proxy) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(world.PSQL(p) + " connect_timeout=20")
	if err != nil {
		t.Fatal(err)
	}
	config.Password = token(t)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatalf("alice cannot log in: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}
