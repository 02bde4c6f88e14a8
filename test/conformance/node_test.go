// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

func nodeDir() string { return filepath.Join(testenv.Root(), "test", "conformance", "node") }

// installNode installs node-postgres as package-lock.json has it, unless it is
// there already.
func installNode(ctx context.Context) error {
	lock, err := os.Stat(filepath.Join(nodeDir(), "package-lock.json"))
	if err != nil {
		return fmt.Errorf("cannot find what to install: %w", err)
	}
	// npm writes this file last.
	done, err := os.Stat(filepath.Join(nodeDir(), "node_modules", ".package-lock.json"))
	if err == nil && !done.ModTime().Before(lock.ModTime()) {
		return nil
	}
	command := exec.CommandContext(ctx, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	command.Dir = nodeDir()
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot install node-postgres; `make install-deps` installs npm: %w: %s", err, out)
	}
	return nil
}

// nodeError is what node-postgres makes of an ErrorResponse.
type nodeError struct {
	Severity   string `json:"severity"`
	Code       string `json:"code"`
	Message    string `json:"message"`
	Position   string `json:"position,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Hint       string `json:"hint,omitempty"`
	Constraint string `json:"constraint,omitempty"`
}

// node runs one case of client.mjs against a database and returns its result.
func node(t *testing.T, command *exec.Cmd, dsn string) (json.RawMessage, output) {
	t.Helper()
	command.Env = append(command.Env, "DATABASE_URL="+dsn)
	command.Dir = nodeDir()
	o := finish(t, command)
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *nodeError      `json:"error"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &answer); err != nil || answer.Error != nil || o.exit != 0 {
		t.Fatalf("node-postgres failed:\n%s", o)
	}
	return answer.Result, o
}

func databaseURL(address, user, ca string) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(user), Host: address, Path: "/" + stack.Database,
		RawQuery: url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ca}}.Encode(),
	}
	return u.String()
}

// node runs one case through the proxy.
func (c *caller) node(name string) json.RawMessage {
	c.t.Helper()
	command := exec.CommandContext(c.context(), "node", "client.mjs", name)
	command.Env = environment(c.token)
	_, port, err := net.SplitHostPort(suite.Proxy().Address)
	if err != nil {
		c.t.Fatal(err)
	}
	result, o := node(c.t, command, databaseURL(net.JoinHostPort("localhost", port), "doorward", suite.CAPath))
	_, _ = c.Write([]byte(o.stdout + o.stderr))
	return result
}

// nodeDirect runs one case past the proxy.
func (c *caller) nodeDirect(name string) json.RawMessage {
	c.t.Helper()
	command := exec.CommandContext(c.context(), "node", "client.mjs", name)
	command.Env = environment(suite.Canary)
	address := net.JoinHostPort(suite.Postgres.Host, strconv.Itoa(suite.Postgres.Port))
	result, _ := node(c.t, command, databaseURL(address, stack.Role, suite.Postgres.CAPath))
	return result
}

// TestNodePostgres: node-postgres gets what it gets on a direct connection.
func TestNodePostgres(t *testing.T) {
	tests := map[string]struct{ reason, name string }{
		"Simple":      {"several statements in one text", "simple"},
		"Parameters":  {"parameters and types", "parameters"},
		"Named":       {"a named prepared statement, used again", "named"},
		"Cursor":      {"pg-cursor: Execute with a row limit, closed at the end and half way", "cursor"},
		"Pool":        {"four connections, forty queries, a transaction", "pool"},
		"Transaction": {"savepoints, and errors with all their fields", "transaction"},
		"Errors":      {"errors of the target, by the simple and the extended protocol", "errors"},
		"Notify":      {"notifications", "notify"},
		"Queued":      {"queries queued in the client, errors among them", "queued"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, "builders")
			if diff := cmp.Diff(string(c.nodeDirect(tc.name)), string(c.node(tc.name))); diff != "" {
				t.Errorf("%s (-direct +through the proxy):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestNodePostgresRefusals: a refusal is an error with code, detail and hint.
func TestNodePostgresRefusals(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	var got struct {
		Syntax, Denied, DeniedSimple nodeError
		After                        []map[string]string
	}
	if err := json.Unmarshal(c.node("refusals"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Syntax.Code != "42601" || got.Denied.Code != "42501" || got.DeniedSimple.Code != "42501" {
		t.Errorf("want the SQLSTATEs 42601, 42501 and 42501: %+v", got)
	}
	if !strings.Contains(got.DeniedSimple.Message, "people are never deleted") || got.DeniedSimple.Hint == "" || got.DeniedSimple.Detail == "" {
		t.Errorf("want the rule's message, a detail and a hint: %+v", got.DeniedSimple)
	}
	if diff := cmp.Diff([]map[string]string{{"alive": "yes"}}, got.After); diff != "" {
		t.Errorf("the session does not go on (-want +got):\n%s", diff)
	}
}

// TestNodePostgresMasks: masked in text, in binary, prepared and by cursor. What
// is no text comes as null, but for JSON, which has strings.
func TestNodePostgresMasks(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	var got map[string][]map[string]any
	if err := json.Unmarshal(c.node("masks"), &got); err != nil {
		t.Fatal(err)
	}
	person := func(notes string) []map[string]any {
		return []map[string]any{{
			"id": 3.0, "name": "Person 3", "email": "[masked]", "card": "***************2003", "phone": "[masked]",
			"born": nil, "salary": nil, "visits": nil, "token": nil, "secret": nil, "notes": notes, "tags": nil, "seen": nil,
		}}
	}
	want := map[string][]map[string]any{
		// node-postgres reads no binary jsonb: it shows its version and its text.
		"text": person("[masked]"), "prepared": person("[masked]"), "binary": person("\x01\"[masked]\""),
		"cursor": {{"email": "[masked]", "card": "***************2001", "phone": "[masked]"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestLockFile: everything is pinned by its digest, and no registry is named.
func TestLockFile(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(nodeDir(), "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Integrity, Resolved string }
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		t.Fatal(err)
	}
	for name, pinned := range lock.Packages {
		if name != "" && (pinned.Integrity == "" || pinned.Resolved != "") {
			t.Errorf("%s: want an integrity and no resolved address: %+v", name, pinned)
		}
	}
}
