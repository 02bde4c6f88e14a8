// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package observability

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/test/stack"
)

// person is who uses psql.
const person = "olivia"

// clientTrace is the trace that the person's statement says it is part of.
const clientTrace = "0af7651916cd43dd8448eb211c80319c"

// script has one operation of each kind: allowed, masked, refused, part of the
// caller's own trace.
const script = `SELECT 'canary-value';
SELECT email FROM customers;
DROP TABLE orders;
SELECT count(*) FROM orders /*traceparent='00-` + clientTrace + `-b7ad6b7169203331-01'*/;
`

// psql runs psql through the proxy and returns what it printed.
func psql(t *testing.T, password, stdin string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(suite.Postgres.BinDir, "psql"), "-X", "-w", "-A", "-t", "-d", suite.PSQL(suite.Proxy()))
	command.Env = []string{"PGPASSWORD=" + password, "PGCONNECT_TIMEOUT=30", "LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited { //nolint:errorlint // Run returns it as it is
		t.Fatalf("cannot run psql: %v", err)
	}
	return string(output)
}

var once sync.Once

// busy has something of each kind happen, once.
func busy(t *testing.T) {
	t.Helper()
	once.Do(func() {
		if output := psql(t, "no-token-canary", "SELECT 1"); !strings.Contains(output, "token") {
			t.Fatalf("psql without a token: %s", output)
		}
		token, err := suite.Issuer.Token(stack.GatewayAudience, person, "analysts")
		if err != nil {
			t.Fatal(err)
		}
		output := psql(t, token, script)
		for _, want := range []string{"canary-value", "[masked]", "schema changes go through migrations", "200"} {
			if !strings.Contains(strings.ToLower(output), want) {
				t.Fatalf("psql does not show %q:\n%s", want, output)
			}
		}
	})
}
