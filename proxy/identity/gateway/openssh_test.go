// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/elliptic"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/test/proc"
)

const sshd = "/usr/sbin/sshd"

// run runs a command of OpenSSH's and returns what it prints.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("no %s: %v; run `hack/install-deps.sh ssh`", name, err)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}

// machine is a client's folder with a key that ssh-keygen has made.
type machine struct{ dir, key string }

func newMachine(t *testing.T) (machine, ssh.PublicKey) {
	t.Helper()
	m := machine{dir: t.TempDir()}
	m.key = filepath.Join(m.dir, "id_ed25519")
	if out, err := run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", m.key); err != nil {
		t.Fatal(out, err)
	}
	text, err := os.ReadFile(m.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text) //nolint:dogsled // the key alone
	if err != nil {
		t.Fatal(err)
	}
	return m, public
}

// show has the client show a certificate, and logs in at an address with a known host key.
func (m machine) show(t *testing.T, certificate ssh.PublicKey, address string, host ssh.PublicKey, userName string) (string, error) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(m.dir, "known_hosts")
	for path, text := range map[string]string{
		m.key + "-cert.pub": string(ssh.MarshalAuthorizedKey(certificate)),
		known:               fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(host)),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return run(t, "ssh", "-F", "none", "-i", m.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile="+known, "-o", "PreferredAuthentications=publickey", "-p", port, userName+"@127.0.0.1", "who")
}

// gate is a small server of SSH that takes whoever the Verifier proves. What is proven is
// the key of the finished handshake (checklist 1).
func gate(t *testing.T, v *gateway.Verifier, host ssh.Signer) (address string) {
	t.Helper()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if _, err := v.SSHCertificate(key.Marshal()); err != nil {
			return nil, err
		}
		return &ssh.Permissions{Extensions: map[string]string{"key": string(key.Marshal())}}, nil
	}}
	config.AddHostKey(host)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = serveOne(conn, config, v)
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

func serveOne(conn net.Conn, config *ssh.ServerConfig, v *gateway.Verifier) error {
	defer func() { _ = conn.Close() }()
	done, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(requests)
	for asked := range channels {
		channel, requests, err := asked.Accept()
		if err != nil {
			return err
		}
		for request := range requests {
			_ = request.Reply(request.Type == "exec", nil)
			if request.Type != "exec" {
				continue
			}
			s, err := v.SSHCertificate([]byte(done.Permissions.Extensions["key"]))
			_, _ = fmt.Fprintln(channel, s.ID, string(s.Claims), err)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{}))
			_ = channel.Close()
		}
	}
	return done.Wait()
}

// TestOpenSSHReads: ssh-keygen prints what the manager signed, to the second.
func TestOpenSSHReads(t *testing.T) {
	key := newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	m, public := newMachine(t)
	s := statement()
	certificate, err := authority.SSHCertificate(s, public, []string{"ann"})
	if err != nil {
		t.Fatal(err)
	}
	path := m.key + "-cert.pub"
	if err := os.WriteFile(path, ssh.MarshalAuthorizedKey(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "ssh-keygen", "-L", "-f", path)
	if err != nil {
		t.Fatal(out, err)
	}
	const local = "2006-01-02T15:04:05"
	for _, want := range []string{
		`Type: ssh-ed25519-cert-v01@openssh\.com user certificate`,
		`Public key: ED25519-CERT ` + regexp.QuoteMeta(ssh.FingerprintSHA256(public)),
		`Signing CA: ECDSA ` + regexp.QuoteMeta(ssh.FingerprintSHA256(sshSigner(t, key).PublicKey())) + ` \(using ecdsa-sha2-nistp256\)`,
		`Key ID: "ann, gateway credential ` + id + `"`,
		`Serial: 81985529216486895`,
		`Valid: from ` + s.IssuedAt.Local().Format(local) + ` to ` + s.ExpiresAt.Local().Format(local),
		`Principals: \n +ann\n`,
		`Critical Options: \n +statement@doorward\.dev UNKNOWN OPTION`,
		`Extensions: \(none\)`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("ssh-keygen prints %s, want %s", out, want)
		}
	}
}

// TestOpenSSHClient: the stock client logs in with the largest certificate, by whatever name,
// until it is revoked; with a certificate of somebody else's it does not.
func TestOpenSSHClient(t *testing.T) {
	key := newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	revoked := false
	v := verifierOf(t, func(string) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		return "laptop lost", revoked
	}, key)
	host := sshSigner(t, newEd25519(t))
	address := gate(t, v, host)
	m, public := newMachine(t)
	largest := statement()
	largest.Claims = []byte(`{"sub":"4711","a":"` + strings.Repeat("x", gateway.MaxClaimsBytes-21) + `"}`)
	certificate, err := authority.SSHCertificate(largest, public, []string{"ann"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := m.show(t, certificate, address, host.PublicKey(), "root"); err != nil || !strings.HasPrefix(out, id+" ") || !strings.Contains(out, `"sub":"4711"`) {
		t.Errorf("the client gets %.300q, %v", out, err)
	}
	theirs := parsed(t, sshCertificate(t, sshSigner(t, newKey(t, elliptic.P256())), func(c *ssh.Certificate) { c.Key = public }))
	if out, err := m.show(t, theirs, address, host.PublicKey(), "ann"); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("with somebody else's certificate, the client gets %.300q, %v", out, err)
	}
	mu.Lock()
	revoked = true
	mu.Unlock()
	if out, err := m.show(t, certificate, address, host.PublicKey(), "ann"); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("revoked, the client gets %.300q, %v", out, err)
	}
}

func parsed(t *testing.T, blob []byte) ssh.PublicKey {
	t.Helper()
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestOpenSSHServerRefuses (checklist 2): an sshd that somebody has made trust the login key
// for its accounts refuses the certificate, for its critical option: without that, the same
// certificate lets its holder in.
func TestOpenSSHServerRefuses(t *testing.T) {
	key := newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	login := sshSigner(t, key)
	host := newMachineKey(t)
	m, public := newMachine(t)
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	address, end := startSSHD(t, host, login.PublicKey())
	without := parsed(t, sshCertificate(t, login, func(c *ssh.Certificate) {
		c.Key, c.CriticalOptions, c.ValidPrincipals = public, nil, []string{self.Username}
	}))
	if out, err := m.show(t, without, address, host.public, self.Username); err != nil || out != "in\n" {
		t.Fatalf("the certificate that differs by the option alone: %q, %v; sshd says %s", out, err, end())
	}
	certificate, err := authority.SSHCertificate(statement(), public, []string{self.Username})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := m.show(t, certificate, address, host.public, self.Username); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("another sshd takes it: %q, %v", out, err)
	}
	if said := end(); !strings.Contains(said, `critical option "statement@doorward.dev" is not supported`) {
		t.Errorf("sshd says %s", said)
	}
}

type hostKey struct {
	path   string
	public ssh.PublicKey
}

func newMachineKey(t *testing.T) hostKey {
	t.Helper()
	m, public := newMachine(t)
	return hostKey{m.key, public}
}

// startSSHD starts a server that trusts an authority for every account, and returns what
// ends it and says what it has logged.
func startSSHD(t *testing.T, host hostKey, authority ssh.PublicKey) (address string, end func() string) {
	t.Helper()
	if _, err := os.Stat(sshd); err != nil {
		t.Fatalf("no sshd: %v; run `hack/install-deps.sh ssh`", err)
	}
	dir := t.TempDir()
	trusted, config := filepath.Join(dir, "authority.pub"), filepath.Join(dir, "config")
	// Root's sshd wants it, which the service's start makes.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	address, err := proc.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		trusted: string(ssh.MarshalAuthorizedKey(authority)),
		config: strings.Join([]string{
			"ListenAddress " + address, "HostKey " + host.path, "TrustedUserCAKeys " + trusted, "AuthorizedKeysFile none", "AuthenticationMethods publickey",
			"PermitRootLogin yes", "StrictModes no", "UsePAM no", "PidFile none", "LogLevel VERBOSE", "ForceCommand echo in", "",
		}, "\n"),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.CommandContext(t.Context(), sshd, "-D", "-e", "-f", config)
	out, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	listening, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		up := sync.OnceFunc(func() { close(listening) })
		defer up()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(&text, lines.Text())
			if strings.Contains(lines.Text(), "Server listening on") {
				up()
			}
		}
	}()
	end = sync.OnceValue(func() string {
		_ = server.Process.Kill()
		// Those who serve one client log to the same pipe until they end.
		<-ended
		_ = server.Wait()
		return text.String()
	})
	t.Cleanup(func() { end() })
	<-listening
	return address, end
}
