// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/testenv"
)

// debianPython is the interpreter that Debian's python3-paramiko is installed for.
const debianPython = "/usr/bin/python3"

// python is a script of this folder. DOORWARD_PYTHONPATH is where another paramiko is.
func python(t *testing.T, s side, args ...string) *exec.Cmd {
	t.Helper()
	command := s.command(t, debianPython, append([]string{"-B", "-W", "ignore"}, args...)...)
	if path := os.Getenv("DOORWARD_PYTHONPATH"); path != "" {
		command.Env = append(command.Env, "PYTHONPATH="+path)
	}
	return command
}

func script(name string) string {
	return filepath.Join(testenv.Root(), "test", "conformance", "ssh", "clients", name)
}

// TestParamiko: programs, a terminal, SFTP, both ways of forwarding, and many channels of one
// connection, of which the keys are exchanged anew meanwhile. Where the paramiko that is there
// does not know strict key exchange, it is not let in; what it is told of that it does not show.
func TestParamiko(t *testing.T) {
	t.Parallel()
	const probe = "import inspect, paramiko; print(paramiko.__version__, 'strict_kex' in inspect.signature(paramiko.Transport.__init__).parameters)"
	known := output(t, python(t, direct(), "-c", probe))
	if strings.HasSuffix(known, "False\n") {
		out, err := python(t, byToken(), script("paramiko_client.py")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "SSHException: Negotiation failed") {
			t.Fatalf("a client without strict key exchange is not refused: %v\n%s", err, clip(string(out)))
		}
		t.Skipf("paramiko %s does not know strict key exchange, and is refused; for the rest have DOORWARD_PYTHONPATH name a folder with paramiko 3.4 or newer",
			strings.Fields(known)[0])
	}
	alike(t, func(t *testing.T, s side) string {
		t.Helper()
		return ended(t, output(t, python(t, s, script("paramiko_client.py"))))
	}, byToken(), byCertificate())
}
