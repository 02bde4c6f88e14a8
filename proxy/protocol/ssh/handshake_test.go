// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// TestCallerOfTheFinishedHandshake: who merely offers a key is not who logs in (checklist 1).
func TestCallerOfTheFinishedHandshake(t *testing.T) {
	b := newBench(t, startDaemon(t))
	alice := certificate(t, b.authority, "alice@example.com")
	elsewhere := certificate(t, b.authority, "elsewhere@example.com", func(c *ssh.Certificate) {
		c.CriticalOptions = map[string]string{sourceAddress: "192.0.2.1"}
	})
	for name, test := range map[string]struct {
		reason string
		auth   []ssh.AuthMethod
		want   string // empty for nobody
	}{
		"restricted": {
			"the certificate is for another address",
			[]ssh.AuthMethod{ssh.PublicKeys(elsewhere)},
			"",
		},
		"restriction is not another's": {
			"the restriction of a key that was offered is not that of the one that signed, nor the other way round",
			[]ssh.AuthMethod{ssh.PublicKeys(elsewhere, alice)},
			"alice@example.com",
		},
		"interactive": {
			"a token is pasted",
			[]ssh.AuthMethod{ssh.KeyboardInteractive(func(_, instruction string, questions []string, echos []bool) ([]string, error) {
				if len(questions) != 1 || echos[0] || !strings.Contains(instruction, "token") {
					return nil, errors.New("asked otherwise")
				}
				return []string{" " + protocoltest.Token + "\n"}, nil
			})},
			protocoltest.UserName,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(b.Log.OfType(record.SessionStart))
			client, err := b.dial(t, func(c *ssh.ClientConfig) { c.Auth = test.auth })
			if test.want == "" {
				if err == nil {
					t.Fatalf("%s, and somebody was let in", test.reason)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", test.reason, err)
			}
			defer client.Close()
			b.Log.Await(deadline(t), t, "session", func(e record.Event) bool {
				return e.Type == record.SessionStart && len(b.Log.OfType(record.SessionStart)) > before
			})
			starts := b.Log.OfType(record.SessionStart)
			if start := starts[len(starts)-1]; start.Actor.UserName != test.want {
				t.Errorf("%s: %q is on record, want %q", test.reason, start.Actor.UserName, test.want)
			}
		})
	}
}

// TestOfferedAndNotHeld: OpenSSH's client offers the key of another, which is taken, cannot sign with
// it, and logs in with its own (checklist 1).
func TestOfferedAndNotHeld(t *testing.T) {
	b := newBench(t, startDaemon(t))
	dir := t.TempDir()
	identity := func(name string, held bool) string {
		key, private := newKey(t)
		c := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: name, ValidPrincipals: []string{name}, ValidBefore: ssh.CertTimeInfinity}
		if err := c.SignCert(rand.Reader, b.authority); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		write(t, file+".pub", []byte(authorizedKey(key.PublicKey())+"\n"), 0o600)
		write(t, file+"-cert.pub", []byte(authorizedKey(c)+"\n"), 0o600)
		if held {
			write(t, file, private, 0o600)
		}
		return file
	}
	admin, alice := identity("admin", false), identity("alice", true)
	out, told, status := finish(t, b.ssh(t, "-v", "-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes",
		"-o", "CertificateFile="+admin+"-cert.pub", "-o", "CertificateFile="+alice+"-cert.pub", "-i", admin+".pub", "-i", alice, "GATEWAY", "uptime"), "")
	if status != 0 || !strings.Contains(told, "Server accepts key: "+admin) {
		t.Errorf("%q %d\n%s", out, status, told)
	}
	for _, start := range b.Log.OfType(record.SessionStart) {
		if start.Actor.UserName != "alice" {
			t.Errorf("%q is on record", start.Actor.UserName)
		}
	}
}

// TestOfferedAfterwards: who offers his own key, then that of another, and signs with his own is
// himself, with his own restrictions (checklist 1, CVE-2024-45337).
func TestOfferedAfterwards(t *testing.T) {
	b := newBench(t, startDaemon(t))
	l := &login{ctx: t.Context(), entry: b.Gate.Entry(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})}
	meta := somebody{user: loginUser}
	own := certificate(t, b.authority, "alice@example.com", func(c *ssh.Certificate) {
		c.CriticalOptions = map[string]string{sourceAddress: "192.0.2.1"}
	}).PublicKey()
	restricted, err := l.offered(meta, own)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provenCaller(&ssh.ServerConn{Permissions: restricted}); err == nil {
		t.Error("a key that was merely offered has proven somebody")
	}
	if _, err := l.offered(meta, certificate(t, b.authority, "admin@example.com").PublicKey()); err != nil {
		t.Fatal(err)
	}
	permissions, err := l.signed(meta, own, restricted, ssh.KeyAlgoED25519)
	if err != nil {
		t.Fatal(err)
	}
	proven, err := provenCaller(&ssh.ServerConn{Permissions: permissions})
	if err != nil {
		t.Fatal(err)
	}
	if who := proven.caller.Principal().UserName; who != "alice@example.com" || permissions.CriticalOptions[sourceAddress] != "192.0.2.1" {
		t.Errorf("it is %s, with %v", who, permissions.CriticalOptions)
	}
}

// TestSignatureOfAnother: a signature that is not the offered key's ends the connection.
func TestSignatureOfAnother(t *testing.T) {
	b := newBench(t, startDaemon(t))
	admin, own := certificate(t, b.authority, "admin@example.com"), certificate(t, b.authority, "alice@example.com")
	if _, err := b.dial(t, func(c *ssh.ClientConfig) {
		c.Auth = []ssh.AuthMethod{ssh.PublicKeys(swapped{admin, own}), ssh.Password(protocoltest.Token)}
	}); err == nil {
		t.Error("a key was taken with the signature of another")
	}
	if starts := b.Log.OfType(record.SessionStart); len(starts) > 0 {
		t.Errorf("sessions: %+v", starts)
	}
}

// swapped shows one key and signs with another.
type swapped struct{ shown, held ssh.Signer }

func (s swapped) PublicKey() ssh.PublicKey { return s.shown.PublicKey() }
func (s swapped) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return s.held.Sign(r, data)
}

// TestAlgorithms: nothing old is taken (checklist 3).
func TestAlgorithms(t *testing.T) {
	b := newBench(t, startDaemon(t))
	insecure := ssh.InsecureAlgorithms()
	for name, test := range map[string]struct {
		config  ssh.Config
		want    bool
		version string
	}{
		"what there is":     {callerConfig(""), true, ""},
		"SHA-1 in exchange": {ssh.Config{KeyExchanges: insecure.KeyExchanges}, false, ""},
		"curves of NIST":    {ssh.Config{KeyExchanges: []string{ssh.KeyExchangeECDHP256}}, false, ""},
		"2048 bits":         {ssh.Config{KeyExchanges: []string{ssh.KeyExchangeDH14SHA256}}, false, ""},
		"CBC":               {ssh.Config{Ciphers: []string{ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC}}, false, ""},
		"RC4":               {ssh.Config{Ciphers: []string{ssh.InsecureCipherRC4256}}, false, ""},
		"SHA-1 in MACs":     {ssh.Config{Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA1, ssh.InsecureHMACSHA196}}, false, ""},
		"MAC beside":        {ssh.Config{Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA256}}, false, ""},
		"CTR, MAC over it":  {ssh.Config{Ciphers: []string{ssh.CipherAES256CTR}, MACs: []string{ssh.HMACSHA256ETM}}, true, ""},
		"ChaCha20, slow":    {ssh.Config{Ciphers: []string{ssh.CipherChaCha20Poly1305}}, false, ""},
		"ChaCha20 first":    {ssh.Config{Ciphers: []string{ssh.CipherChaCha20Poly1305, ssh.CipherAES256GCM}}, true, ""},
		"that of dropbear":  {ssh.Config{Ciphers: []string{ssh.CipherChaCha20Poly1305}}, true, dropbear + "_2022.83"},
		"group 16":          {ssh.Config{KeyExchanges: []string{ssh.KeyExchangeDH16SHA512}}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := b.dial(t, func(c *ssh.ClientConfig) { c.Config, c.ClientVersion = test.config, test.version })
			if (err == nil) != test.want {
				t.Errorf("err = %v, want taken: %v", err, test.want)
			}
			if err == nil {
				_ = client.Close()
			}
		})
	}
}

// loose takes strict key exchange out of what a client says.
type loose struct{ net.Conn }

func (l loose) Write(p []byte) (int, error) {
	return l.Conn.Write([]byte(strings.ReplaceAll(string(p), strictClient, "kex-loose--c-v00@openssh.com")))
}

// TestStrict: a client whose handshake could be tampered with is refused and told (checklist 3).
func TestStrict(t *testing.T) {
	b := newBench(t, startDaemon(t))
	var dialer net.Dialer
	conn, err := dialer.DialContext(deadline(t), "tcp", b.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _, _, err = ssh.NewClientConn(loose{conn}, "gateway", &ssh.ClientConfig{
		Config: ssh.Config{Rand: rand.Reader}, User: loginUser, Auth: []ssh.AuthMethod{ssh.Password(protocoltest.Token)},
		HostKeyCallback: ssh.FixedHostKey(b.hostKey.PublicKey()),
	})
	if err == nil || !strings.Contains(err.Error(), "CVE-2023-48795") {
		t.Errorf("the client was told %v", err)
	}
	b.Log.Await(deadline(t), t, "refusal", func(e record.Event) bool {
		return e.Type == record.AuthenticationFailed && strings.Contains(e.Reason, "strict key exchange")
	})
}

// TestRefusedAfterProposal: who is refused has got the algorithms first, as he awaits them: what he
// sees does not depend on which of the two was quicker.
func TestRefusedAfterProposal(t *testing.T) {
	client, conn := net.Pipe()
	defer client.Close()
	defer conn.Close()
	first := &opening{Conn: conn, client: true, proposed: make(chan struct{})}
	var sides sync.WaitGroup
	defer sides.Wait()
	sides.Go(func() {
		_, err := io.ReadAll(first)
		if !errors.Is(err, errNotStrict) {
			t.Errorf("the client was refused for %v", err)
		}
	})
	if _, err := client.Write(append([]byte("SSH-2.0-x\r\n"), kexInit("a,b")...)); err != nil {
		t.Fatal(err)
	}
	// It is refused now; nothing may come.
	if err := client.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it was told before: %d bytes, %v", n, err)
	}
	if err := client.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	proposal := kexInit("c")
	sides.Go(func() {
		_, _ = first.Write([]byte("SSH-2.0-y\r\n"))
		_, _ = first.Write(proposal)
	})
	want := append(append([]byte("SSH-2.0-y\r\n"), proposal...), disconnect(keyExchangeFailed, "Doorward: "+errNotStrict.Error())...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the client got %q: %v", got, err)
	}
}

// TestAttempts: keys that are offered do not use up the token's attempts, and tokens are few
// (checklist 4).
func TestAttempts(t *testing.T) {
	b := newBench(t, startDaemon(t))
	var keys []ssh.Signer
	for range maxOffers {
		key, _ := newKey(t)
		keys = append(keys, key)
	}
	with := func(n int) (*ssh.Client, error) {
		return b.dial(t, func(c *ssh.ClientConfig) {
			c.Auth = []ssh.AuthMethod{ssh.PublicKeys(keys[:n]...), ssh.Password(protocoltest.Token)}
		})
	}
	client, err := with(20)
	if err != nil {
		t.Fatalf("a client with many keys: %v", err)
	}
	_ = client.Close()
	if _, err := with(maxOffers); err == nil {
		t.Error("a client may offer keys without end")
	}
	tried, before := 0, len(b.Log.OfType(record.AuthenticationFailed))
	_, err = b.dial(t, func(c *ssh.ClientConfig) {
		c.BannerCallback = func(string) error { return nil }
		c.Auth = []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
			tried++
			return "wrong", nil
		}), 30)}
	})
	if err == nil || tried > maxProofs+2 {
		t.Errorf("%d tokens were tried: %v", tried, err)
	}
	if n := len(b.Log.OfType(record.AuthenticationFailed)) - before; n != maxProofs {
		t.Errorf("%d failures are on record", n)
	}
}

// TestOpenSSHCertificate: OpenSSH's client with a certificate in a file.
func TestOpenSSHCertificate(t *testing.T) {
	b := newBench(t, startDaemon(t))
	dir := t.TempDir()
	key, private := newKey(t)
	c := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: "carol@example.com", ValidPrincipals: []string{"carol"}, ValidBefore: ssh.CertTimeInfinity}
	if err := c.SignCert(rand.Reader, b.authority); err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "id"), private, 0o600)
	write(t, file+"-cert.pub", []byte(authorizedKey(c)+"\n"), 0o600)
	out, told, status := finish(t, b.ssh(t, "-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-i", file, "GATEWAY", "echo hello"), "")
	if out != "hello\n" || status != 0 {
		t.Errorf("%q %q %d", out, told, status)
	}
	if who := b.Log.OfType(record.SessionStart)[0].Actor.UserName; who != "carol@example.com" {
		t.Errorf("%q is on record", who)
	}
}
