// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/pgtest"
)

// The databases of the suite. Each side works in one of its own.
const (
	databaseDirect  = "direct"
	databaseProxied = "proxied"
	databaseSource  = "source"
)

// What all tests use: one server, and the proxy before it.
var (
	server *pgtest.Server
	proxy  *gateway.Gateway
)

// clientTimeout bounds one run of a client on a loaded machine.
const clientTimeout = 3 * time.Minute

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	err := start(context.Background())
	if err == nil {
		code = m.Run()
	}
	if proxy != nil {
		err = errors.Join(err, proxy.Stop())
	}
	if server != nil {
		err = errors.Join(err, server.Stop())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func start(ctx context.Context) (err error) {
	if server, err = pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{"log_statement": "none", "max_prepared_transactions": "10"}}); err != nil {
		return err
	}
	names := []string{databaseDirect, databaseProxied, databaseSource}
	for _, name := range names {
		if err := server.Exec(ctx, "CREATE DATABASE "+name); err != nil {
			return err
		}
	}
	proxy, err = gateway.Start(ctx, gateway.Postgres(server, append(names, restored(0), restored(1), restored(2), restored(3), restored(4))...))
	return err
}

// side is one way to the server.
type side struct {
	name, database string
	host           string
	port           int
	password, ca   string
}

// sides are both ways, each to a database of its own.
func sides() (direct, proxied side) {
	return side{"direct", databaseDirect, server.Host, server.Port, server.Password, server.CAPath},
		side{"through the proxy", databaseProxied, proxy.Host, proxy.Port, "token", proxy.CAPath}
}

// in is the same way to another database.
func (s side) in(database string) side {
	s.database = database
	return s
}

// command is a program with libpq's variables.
func (s side) command(tb testing.TB, path string, args ...string) *exec.Cmd {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), clientTimeout)
	tb.Cleanup(cancel)
	command := exec.CommandContext(ctx, path, args...)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir(), "LC_ALL=C.UTF-8", "TZ=UTC", "PGAPPNAME=conformance",
		"PGHOST=" + s.host, "PGPORT=" + strconv.Itoa(s.port), "PGUSER=" + pgtest.Superuser, "PGPASSWORD=" + s.password,
		"PGDATABASE=" + s.database, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + s.ca, "PGCONNECT_TIMEOUT=60",
	}
	return command
}

// program is one of PostgreSQL's own.
func (s side) program(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	return s.command(tb, filepath.Join(server.BinDir, name), args...)
}

// output runs a command that must succeed.
func output(tb testing.TB, command *exec.Cmd) string {
	tb.Helper()
	var trouble bytes.Buffer
	command.Stderr = &trouble
	out, err := command.Output()
	if err != nil {
		tb.Fatalf("%s: %v\n%s\n%s", filepath.Base(command.Path), err, clip(trouble.String()), clip(string(out)))
	}
	return string(out)
}

// wash takes out what two servers' sessions differ in anyhow.
func wash(text string) string {
	for _, w := range washed {
		text = w.pattern.ReplaceAllString(text, w.by)
	}
	return text
}

var washed = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`\b(` + databaseDirect + `|` + databaseProxied + `)\b`), "DATABASE"},
	{regexp.MustCompile(`process with PID \d+|process \d+`), "process N"},
	// Where in its source the server raised an error that the proxy raises here.
	{regexp.MustCompile(`(?m)^LOCATION: .*\n`), ""},
	{regexp.MustCompile(`(?m)^Time: .*\n`), ""},
	// pg_dump makes a new key for each script.
	{regexp.MustCompile(`(?m)^\\(un)?restrict .*$`), `\restrict`},
}

// same compares what a client shows on both sides.
func same(t *testing.T, direct, proxied string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(wash(direct), "\n"), strings.Split(wash(proxied), "\n")); diff != "" {
		t.Errorf("(-direct +through the proxy):\n%s", clip(diff))
	}
}

func clip(text string) string {
	const most = 8000
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
