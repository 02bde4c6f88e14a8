// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// server is the one that all corpora run on, each in a database of its own.
var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	server, err = pgtest.Start(context.Background(), pgtest.Options{Settings: map[string]string{
		"logging_collector": "on", "log_destination": "jsonlog", "log_filename": "oracle.log", "log_rotation_size": "0", "log_rotation_age": "0",
		"log_duration": "on", "log_min_messages": "warning", "log_min_error_statement": "panic", "statement_timeout": "30s", "max_prepared_transactions": "5",
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

//go:embed testdata/own.sql
var own string

// TestOwn runs the corpus of this project's own, in both protocols.
func TestOwn(t *testing.T) {
	texts := strings.Split(strings.TrimSuffix(own, "\n"), "\n----\n")
	simple, extended := newSide(t, "own"), newSide(t, "own_extended")
	simple.session(t, "own.sql", texts, false)
	var single []string
	for _, text := range texts {
		if !strings.Contains(strings.TrimSuffix(text, ";"), ";") {
			single = append(single, text)
		}
	}
	extended.session(t, "own.sql", single, true)
	for _, s := range []*side{simple, extended} {
		s.check(t)
	}
}

// What runs of the parser's corpus where not all of it does.
var (
	sampleFiles      = flag.Int("files", 6, "how many `files` of the regression tests are taken, evenly")
	sampleStatements = flag.Int("statements", 40, "how many `statements` of each are taken, from the first on")
	budget           = flag.Duration("budget", 0, "after this `time` no further file is begun; 0 runs them all")
)

// TestRegression runs the statements of PostgreSQL's regression tests, as the
// SQL parser's own test data has them: one by one, without what psql would do.
func TestRegression(t *testing.T) {
	long := os.Getenv("DOORWARD_LONG") != ""
	files := corpus(t)
	if !long {
		var some []string
		for i := range *sampleFiles {
			some = append(some, files[i*len(files) / *sampleFiles])
		}
		files = some
	}
	s := newSide(t, "regression")
	begun := time.Now()
	for i, file := range files {
		if *budget > 0 && time.Since(begun) > *budget {
			t.Logf("%d of %d files have run in %s", i, len(files), *budget)
			break
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Query string `json:"query"`
		}
		if err := json.Unmarshal(content, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var texts []string
		for _, c := range cases {
			texts = append(texts, c.Query)
		}
		if !long && len(texts) > *sampleStatements {
			texts = texts[:*sampleStatements]
		}
		s.session(t, filepath.Base(file), texts, false)
	}
	s.check(t)
}

// corpus finds the parser's test data in the module cache.
func corpus(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/multigres/multigres").Output()
	if err != nil {
		t.Fatalf("the SQL parser's module is not in the module cache: go mod download: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "go", "common", "parser", "testdata", "postgres", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the SQL parser's module has no test data: %v", err)
	}
	// What the others use is made first.
	slices.SortStableFunc(files, func(x, y string) int {
		return order(x) - order(y)
	})
	return files
}

func order(file string) int {
	switch strings.TrimSuffix(filepath.Base(file), ".json") {
	case "test_setup":
		return 0
	case "create_index", "create_function_c", "create_misc":
		return 1
	}
	return 2
}

// TestPsql runs the regression tests' files themselves, as psql sends them.
func TestPsql(t *testing.T) {
	dir := os.Getenv("DOORWARD_REGRESS")
	if dir == "" {
		t.Skip("DOORWARD_REGRESS does not name src/test/regress of PostgreSQL's source")
	}
	files, err := filepath.Glob(filepath.Join(dir, "sql", "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	slices.SortStableFunc(files, func(x, y string) int {
		return order(strings.TrimSuffix(x, ".sql")) - order(strings.TrimSuffix(y, ".sql"))
	})
	s := newSide(t, "psql")
	for _, file := range files {
		s.psql(t, file, dir)
	}
	s.check(t)
}

// side is one corpus on its way through a proxy to a database of its own.
type side struct {
	name    string
	road    *protocoltest.Road
	address string
	ca      string
	// sessions are the names of the sources, in the order of the sessions.
	sessions []string
	sent     int
}

func newSide(t *testing.T, name string) *side {
	t.Helper()
	if err := server.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0", "ALTER DATABASE "+name+" SET lc_messages TO 'C'"); err != nil {
		t.Fatal(err)
	}
	r := protocoltest.New(t, protocoltest.Config{
		Protocol: postgres.New(), Options: []byte(`{"databases":["` + name + `"]}`),
		Target:   snapshot.Target{Host: server.Host, Port: int32(server.Port)},
		TLS:      snapshot.TLS{Mode: "VerifyFull", CA: string(server.CAPEM)},
		Username: pgtest.Superuser, Password: server.Password,
	})
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, r.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return &side{name: name, road: r, address: r.Listen(t, postgres.New()).Address, ca: ca}
}

func (s *side) dsn() string {
	host, port, _ := strings.Cut(s.address, ":")
	return fmt.Sprintf("host=%s port=%s user=oracle dbname=%s sslmode=verify-full sslrootcert=%s password=%s", host, port, s.name, s.ca, protocoltest.Token)
}

// statementBound is how long one text may take; what hangs ends its session.
const statementBound = time.Minute

// session runs texts one after the other. Where the session ends, the next one
// goes on.
func (s *side) session(t *testing.T, source string, texts []string, extended bool) {
	t.Helper()
	var conn *pgx.Conn
	for _, text := range texts {
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(t.Context(), s.dsn()); err != nil {
				t.Fatalf("%s: %v", source, err)
			}
			s.sessions = append(s.sessions, source)
		}
		ctx, cancel := context.WithTimeout(t.Context(), statementBound)
		s.send(ctx, conn.PgConn(), text, extended)
		cancel()
	}
	if conn != nil {
		_ = conn.Close(context.WithoutCancel(t.Context()))
	}
}

// send runs one text, whatever comes of it.
func (s *side) send(ctx context.Context, conn *pgconn.PgConn, text string, extended bool) {
	s.sent++
	if extended {
		conn.ExecParams(ctx, text, nil, nil, nil, nil).Read()
		return
	}
	// COPY FROM STDIN is answered with CopyFail by the driver.
	_, _ = conn.Exec(ctx, text).ReadAll()
}

// psql runs a file as psql does.
func (s *side) psql(t *testing.T, file, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(server.BinDir, "psql"), "-X", "-a", "-q", "-d", s.dsn(), "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on", "-f", file)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "PG_ABS_SRCDIR="+dir, "PG_LIBDIR=/usr/lib/postgresql/15/lib", "PG_DLSUFFIX=.so", "PG_ABS_BUILDDIR="+dir, "LC_ALL=C.UTF-8", "PGTZ=America/Los_Angeles", "PGDATESTYLE=Postgres, MDY")
	_, _ = command.CombinedOutput() // what a test expects is not the question
	s.sessions = append(s.sessions, filepath.Base(file))
}
