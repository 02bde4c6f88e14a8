// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/sshd"
)

// What all tests use: one sshd, the proxy before it, and who logs in to them.
var (
	target *sshd.Server
	proxy  *gateway.Gateway
	caller *keys
	// account is that of whoever runs the tests, so that they need not be root.
	account string
)

const (
	// clientTimeout bounds one run of a client on a loaded machine.
	clientTimeout = 4 * time.Minute
	// tokenLength is that of a token with many claims, longer than what OpenSSH's client takes
	// from a terminal.
	tokenLength = 6000
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	err := start(context.Background())
	if err == nil {
		code = m.Run()
	}
	if proxy != nil {
		err = errors.Join(err, proxy.Stop())
	}
	if target != nil {
		err = errors.Join(err, target.Stop())
	}
	if caller != nil {
		err = errors.Join(err, os.RemoveAll(caller.dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func start(ctx context.Context) error {
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("cannot tell who runs the tests: %w", err)
	}
	account = me.Username
	if caller, err = newKeys(account); err != nil {
		return err
	}
	authority, trusted, err := sshd.NewAuthority()
	if err != nil {
		return err
	}
	if target, err = sshd.Start(ctx, sshd.Options{
		Accounts:       []sshd.Account{{Name: account, AuthorizedKeys: []gossh.PublicKey{caller.public}}},
		TrustedUserCAs: []gossh.PublicKey{trusted},
	}); err != nil {
		return err
	}
	config, err := gateway.SSH(target, account, authority, nil)
	if err != nil {
		return err
	}
	config.NewVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return caller, nil }
	proxy, err = gateway.Start(ctx, config)
	return err
}

// Verify implements identity.Verifier: one token, whole, and one certificate are taken.
func (k *keys) Verify(_ context.Context, credential identity.Credential) (identity.Principal, error) {
	if credential.Token() == k.token || bytes.Equal(credential.SSHPublicKey(), k.certificate.Marshal()) {
		return gateway.Caller(), nil
	}
	return identity.Principal{}, errors.New("neither the token nor the certificate")
}

// side is one way to the sshd, and how one logs in there.
type side struct {
	name    string
	host    string
	port    int
	hostKey gossh.PublicKey
	// password, key and certificate are what is logged in with; key and certificate are paths.
	password, key, certificate string
}

// direct is the way past the proxy.
func direct() side {
	return side{name: "direct", host: target.Host, port: target.Port, hostKey: target.HostKey, key: caller.path("plain")}
}

// byToken and byCertificate are the ways through the proxy.
func byToken() side {
	return side{name: "by token", host: proxy.Host, port: proxy.Port, hostKey: proxy.HostKey, password: caller.token}
}

func byCertificate() side {
	return side{
		name: "by certificate", host: proxy.Host, port: proxy.Port, hostKey: proxy.HostKey,
		key: caller.path("certified"), certificate: caller.path("certified-cert.pub"),
	}
}

// fingerprint is the host key's.
func (s side) fingerprint() string { return gossh.FingerprintSHA256(s.hostKey) }

// command is a program that is told by variables where to log in, and by whom. It has a home and
// a folder for its files of its own.
func (s side) command(tb testing.TB, path string, args ...string) *exec.Cmd {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), clientTimeout)
	tb.Cleanup(cancel)
	command := exec.CommandContext(ctx, path, args...)
	command.WaitDelay = clientTimeout
	command.Dir = tb.TempDir()
	home := filepath.Join(command.Dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		tb.Fatal(err)
	}
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "TZ=UTC",
		"SSH_HOST=" + s.host, "SSH_PORT=" + strconv.Itoa(s.port), "SSH_USER=" + account, "SSH_PASSWORD=" + s.password, "SSH_KEY=" + s.key,
		"SSH_CERTIFICATE=" + s.certificate, "SSH_HOST_KEY=" + strings.TrimSpace(string(gossh.MarshalAuthorizedKey(s.hostKey))),
		"FOLDER=" + command.Dir,
	}
	return command
}

// home is the home folder of a command.
func home(command *exec.Cmd) string { return filepath.Join(command.Dir, "home") }

// write makes a file for a command.
func write(tb testing.TB, dir, name, content string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		tb.Fatal(err)
	}
	return path
}

// program finds one of the programs that install-deps.sh installs.
func program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("%v: run `hack/install-deps.sh sshclients`", err)
	}
	return path
}

// output runs a command that must succeed, and washes what it says.
func output(tb testing.TB, command *exec.Cmd) string {
	tb.Helper()
	var trouble bytes.Buffer
	command.Stderr = &trouble
	out, err := command.Output()
	if err != nil {
		tb.Fatalf("%s: %v\n%s\n%s", filepath.Base(command.Path), err, clip(trouble.String()), clip(string(out)))
	}
	return wash(command, string(out))
}

// wash takes out where a command has its files.
func wash(command *exec.Cmd, text string) string {
	return strings.ReplaceAll(text, command.Dir, "FOLDER")
}

// alike compares what a client shows on the direct way and on others.
func alike(t *testing.T, show func(t *testing.T, s side) string, others ...side) {
	t.Helper()
	want := show(t, direct())
	for _, other := range others {
		t.Run(other.name, func(t *testing.T) {
			got := show(t, other)
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("(-direct +%s):\n%s", other.name, clip(diff))
			}
		})
	}
}

// ended is what a client says last, so that one that did nothing is found out.
func ended(tb testing.TB, shown string) string {
	tb.Helper()
	if strings.Count(shown, "\n") < 15 || !strings.HasSuffix(shown, "end\n") {
		tb.Fatalf("the client did not do its work:\n%s", clip(shown))
	}
	return shown
}

func clip(text string) string {
	const most = 8000
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
