// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doorward/doorward/test/stack"
)

// clientTimeout bounds a client's whole run.
const clientTimeout = 90 * time.Second

// caller is a person who uses one client: one for each test, so that what the
// target's log, the records and the objects say of it can be told apart.
type caller struct {
	t           *testing.T
	user, token string
	groups      []string

	mu sync.Mutex // guards seen
	// seen is every byte that was given to the client, as far as it shows.
	seen bytes.Buffer
}

var (
	callers  atomic.Int64
	unusable = regexp.MustCompile(`[^a-z0-9]+`)
)

// maxUserName keeps a name whole in the target's application_name.
const maxUserName = 36

// newCaller makes a person with a token, whose sessions are accounted for at
// the test's end.
func newCaller(t *testing.T, groups ...string) *caller {
	t.Helper()
	slug := strings.Trim(unusable.ReplaceAllString(strings.ToLower(strings.TrimPrefix(t.Name(), "Test")), "-"), "-")
	number := fmt.Sprintf("-%d", callers.Add(1))
	user := slug[:min(len(slug), maxUserName-len(number))] + number
	token, err := suite.Issuer.Token(stack.GatewayAudience, user, groups...)
	if err != nil {
		t.Fatalf("cannot make a token: %v", err)
	}
	c := &caller{t: t, user: user, token: token, groups: groups}
	t.Cleanup(func() { c.account() })
	return c
}

// Write takes what a client was given.
func (c *caller) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.Write(p)
}

// context bounds a client's run.
func (c *caller) context() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), clientTimeout)
	c.t.Cleanup(cancel)
	return ctx
}

// environment is what a client gets: the token, and nothing of this machine's
// libpq settings.
func environment(password string) []string {
	env := []string{"PGPASSWORD=" + password, "PGCONNECT_TIMEOUT=30", "LC_ALL=C.UTF-8", "PSQL_HISTORY=/dev/null", "PSQLRC=/dev/null"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	return env
}

// output is what a finished program printed.
type output struct {
	stdout, stderr string
	exit           int
}

func (o output) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", o.exit, clip(o.stdout), clip(o.stderr))
}

func clip(text string) string {
	const most = 4000
	if len(text) > most {
		return text[:most] + fmt.Sprintf("... (%d bytes)\n", len(text))
	}
	return text
}

// finish runs a program to its end.
func finish(t *testing.T, command *exec.Cmd) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatalf("cannot run %s: %v", command.Path, err)
	}
	return output{stdout: stdout.String(), stderr: stderr.String(), exit: command.ProcessState.ExitCode()}
}

// run runs a client as the caller.
func (c *caller) run(stdin, name string, args ...string) output {
	c.t.Helper()
	command := exec.CommandContext(c.context(), name, args...)
	command.Env = environment(c.token)
	command.Stdin = strings.NewReader(stdin)
	command.Dir = c.t.TempDir()
	o := finish(c.t, command)
	_, _ = c.Write([]byte(o.stdout + o.stderr))
	return o
}

// psql runs psql through the proxy.
func (c *caller) psql(stdin string, args ...string) output {
	c.t.Helper()
	return c.run(stdin, program("psql"), append([]string{"-X", "-w", "-d", through()}, args...)...)
}

// psqlDirect runs psql past the proxy.
func psqlDirect(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	return runPsql(t, environment(""), direct(), stdin, args...)
}

// runPsql runs psql as nobody in particular.
func runPsql(t *testing.T, env []string, dsn, stdin string, args ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, program("psql"), append([]string{"-X", "-w", "-d", dsn}, args...)...)
	command.Env = env
	command.Stdin = strings.NewReader(stdin)
	command.Dir = t.TempDir()
	return finish(t, command)
}
