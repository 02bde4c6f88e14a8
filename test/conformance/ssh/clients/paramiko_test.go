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

// strictParamiko is the folder of a paramiko that knows strict key exchange, which hack/install-deps.sh
// has obtained; none where the system's own does. DOORWARD_PYTHONPATH is where another one is.
func strictParamiko(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("DOORWARD_PYTHONPATH"); path != "" {
		return path
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(testenv.Root(), "hack", "paramiko.sh"), "--path").Output()
	if err != nil {
		t.Fatalf("no paramiko that knows strict key exchange: run `hack/install-deps.sh sshclients`: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// python is a script of this folder, with the system's packages and those of a folder.
func python(t *testing.T, s side, packages string, args ...string) *exec.Cmd {
	t.Helper()
	command := s.command(t, debianPython, append([]string{"-B", "-W", "ignore"}, args...)...)
	if packages != "" {
		command.Env = append(command.Env, "PYTHONPATH="+packages)
	}
	return command
}

func script(name string) string {
	return filepath.Join(testenv.Root(), "test", "conformance", "ssh", "clients", name)
}

// knowsStrict prints paramiko's version, and whether it knows strict key exchange.
const knowsStrict = "import inspect, paramiko; print(paramiko.__version__, 'strict_kex' in inspect.signature(paramiko.Transport.__init__).parameters)"

// TestParamiko: programs, a terminal, SFTP, both ways of forwarding, and many channels of one
// connection, of which the keys are exchanged anew meanwhile.
func TestParamiko(t *testing.T) {
	t.Parallel()
	packages := strictParamiko(t)
	if known := output(t, python(t, direct(), packages, "-c", knowsStrict)); !strings.HasSuffix(known, "True\n") {
		t.Fatalf("paramiko %s does not know strict key exchange: have DOORWARD_PYTHONPATH name a folder with paramiko 3.4 or newer", strings.Fields(known)[0])
	}
	alike(t, func(t *testing.T, s side) string {
		t.Helper()
		return ended(t, output(t, python(t, s, packages, script("paramiko_client.py"))))
	}, byToken(), byCertificate())
}

// TestParamikoWithoutStrict: checklist 3. One that does not know strict key exchange is not let in; what it is
// told of that it does not show.
func TestParamikoWithoutStrict(t *testing.T) {
	t.Parallel()
	known := output(t, python(t, direct(), "", "-c", knowsStrict))
	if strings.HasSuffix(known, "True\n") {
		t.Skipf("the system's paramiko %s knows strict key exchange", strings.Fields(known)[0])
	}
	out, err := python(t, byToken(), "", script("paramiko_client.py")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "SSHException: Negotiation failed") {
		t.Fatalf("a client without strict key exchange is not refused: %v\n%s", err, clip(string(out)))
	}
}
