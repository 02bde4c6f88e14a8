// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestUserNames: user+connection@host.
func TestUserNames(t *testing.T) {
	b := newBench(t, startDaemon(t))
	for user, want := range map[string]string{
		loginUser: "", loginUser + "+orders": "", loginUser + "+shop/orders": "", "+orders": "",
		loginUser + "+payments": `there is no connection "payments" at this address, or it did not take`,
		loginUser + "+x/orders": `there is no connection "x/orders" at this address, or`,
		"admin":                 `you asked for the login name "admin" at the target`,
		"admin+orders":          "Connect as " + loginUser + "+orders",
		"admin+shop/orders":     "Connect as " + loginUser + "+shop/orders",
	} {
		t.Run(user, func(t *testing.T) {
			var told strings.Builder
			client, err := b.dial(t, func(c *ssh.ClientConfig) {
				c.User, c.BannerCallback = user, func(text string) error { told.WriteString(text); return nil }
			})
			if err == nil {
				defer client.Close()
				program, failure := client.NewSession()
				if err = failure; err == nil {
					_, err = program.Output("uptime")
				}
			}
			if err != nil {
				told.WriteString(err.Error())
			}
			if want == "" && err != nil || !strings.Contains(strings.ReplaceAll(told.String(), `\"`, `"`), want) {
				t.Errorf("told %s, want %s", &told, want)
			}
		})
	}
}

// TestTargetRole: the login name is the one that policies give.
func TestTargetRole(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.SetTargetRole("nobody")
	b.Apply(t)
	client := b.mustDial(t, func(c *ssh.ClientConfig) { c.User = "+orders" })
	if _, err := client.NewSession(); err == nil || !strings.Contains(err.Error(), "did not accept the proxy") {
		t.Errorf("err = %v, want that the target does not let nobody in", err)
	}
	if log := b.daemon.log(t); !strings.Contains(log, "user nobody") && !strings.Contains(log, "for nobody") {
		t.Errorf("the target was asked to let in another: %s", log)
	}
}

// TestHostKeysOfTargets: what is not named is not trusted, and nothing is sent (checklist 6).
func TestHostKeysOfTargets(t *testing.T) {
	d := startDaemon(t)
	other, _ := newKey(t)
	line := authorizedKey(other.PublicKey())
	for name, test := range map[string]struct {
		lines []string
		want  bool
	}{
		"named":                 {[]string{d.hostKey}, true},
		"swapped":               {[]string{line}, false},
		"for another host":      {[]string{"other.example.com " + d.hostKey}, false},
		"for another port":      {[]string{"127.0.0.1 " + d.hostKey}, false},
		"for any":               {[]string{"* " + d.hostKey}, true},
		"negated":               {[]string{"*,![127.0.0.1]:* " + d.hostKey}, false},
		"revoked":               {[]string{d.hostKey, "@revoked * " + d.hostKey}, false},
		"as an authority's":     {[]string{"@cert-authority * " + d.hostKey}, false},
		"beside an authority's": {[]string{"@cert-authority * " + line, d.hostKey}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, d, func(_ *protocoltest.Config, o map[string]any) { o["hostKeys"] = test.lines })
			program, err := b.mustDial(t).NewSession()
			if (err == nil) != test.want {
				t.Fatalf("err = %v, want trusted: %v", err, test.want)
			}
			if err == nil {
				_ = program.Close()
			} else if !strings.Contains(err.Error(), "host key") && !strings.Contains(err.Error(), "hostKeys") {
				t.Errorf("told %v", err)
			}
			if strings.Contains(d.log(t), canary) {
				t.Error("the password was sent")
			}
		})
	}
}

// TestHostCertificates (checklist 2 and 6).
func TestHostCertificates(t *testing.T) {
	authority, _ := newKey(t)
	other, _ := newKey(t)
	keys, err := parseHostKeys([]string{"@cert-authority *.example.com,[127.0.0.1]:* " + authorizedKey(authority.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	host := func(by ssh.Signer, edit ...func(*ssh.Certificate)) ssh.PublicKey {
		return certificate(t, by, "db.example.com", append([]func(*ssh.Certificate){func(c *ssh.Certificate) { c.CertType = ssh.HostCert }}, edit...)...).PublicKey()
	}
	for name, test := range map[string]struct {
		key  ssh.PublicKey
		host string
		want bool
	}{
		"good":                 {host(authority), "db.example.com", true},
		"of another host":      {host(authority), "web.example.com", false},
		"not the authority's":  {host(authority), "db.example.org", false},
		"another authority":    {host(other), "db.example.com", false},
		"of a user":            {host(authority, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), "db.example.com", false},
		"no principals":        {host(authority, func(c *ssh.Certificate) { c.ValidPrincipals = nil }), "db.example.com", false},
		"two in one":           {host(authority, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"x,db.example.com"} }), "db.example.com", false},
		"expired":              {host(authority, func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter + 1 }), "db.example.com", false},
		"unknown option":       {host(authority, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x": ""} }), "db.example.com", false},
		"the authority itself": {authority.PublicKey(), "db.example.com", false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := keys.verify(test.host, 22, test.key); (err == nil) != test.want {
				t.Errorf("err = %v, want good: %v", err, test.want)
			}
		})
	}
	if got := keys.algorithms("127.0.0.1", 2222); !slices.Equal(got, certificateAlgorithms) {
		t.Errorf("algorithms %q", got)
	}
}

// TestHostAuthorities: what a certificate of a host rests on (checklist 2 and 6).
func TestHostAuthorities(t *testing.T) {
	authority, _ := newKey(t)
	host := func(by ssh.Signer) ssh.PublicKey {
		return certificate(t, by, "db.example.com", func(c *ssh.Certificate) { c.CertType = ssh.HostCert }).PublicKey()
	}
	rsaSigner := func(bits int, algorithm string) ssh.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		full, err := ssh.NewSignerWithAlgorithms(signer.(ssh.AlgorithmSigner), []string{algorithm}) //nolint:forcetypeassert // RSA is one
		if err != nil {
			t.Fatal(err)
		}
		return full
	}
	const trusted = "@cert-authority *.example.com "
	line := authorizedKey(authority.PublicKey())
	sha1, sha2 := rsaSigner(minRSABits, ssh.KeyAlgoRSA), rsaSigner(minRSABits, ssh.KeyAlgoRSASHA256)
	weak := *host(authority).(*ssh.Certificate) //nolint:forcetypeassert // as it was made
	weak.Key = rsaSigner(1024, ssh.KeyAlgoRSASHA256).PublicKey()
	if err := weak.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		reason string
		lines  []string
		key    ssh.PublicKey
		want   bool
	}{
		"Good":    {"as it should be", []string{trusted + line}, host(authority), true},
		"RSA":     {"signed with SHA-2", []string{trusted + authorizedKey(sha2.PublicKey())}, host(sha2), true},
		"SHA1":    {"signed with SHA-1, which others can forge", []string{trusted + authorizedKey(sha1.PublicKey())}, host(sha1), false},
		"Revoked": {"the authority is no longer one", []string{trusted + line, "@revoked * " + line}, host(authority), false},
		"Weak":    {"the host's own key is short", []string{trusted + line}, &weak, false},
		"Host":    {"a host's key is no authority's", []string{"*.example.com " + line}, host(authority), false},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := parseHostKeys(test.lines)
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.verify("db.example.com", 22, test.key); (err == nil) != test.want {
				t.Errorf("%s: err = %v, want good: %v", test.reason, err, test.want)
			}
		})
	}
}

// TestTargetWithoutStrict: a target whose handshake could be tampered with unseen gets no
// credential; with GCM, it could not be (checklist 3).
func TestTargetWithoutStrict(t *testing.T) {
	with := func(cipher string) ssh.NegotiatedAlgorithms {
		return ssh.NegotiatedAlgorithms{Read: ssh.DirectionAlgorithms{Cipher: cipher}, Write: ssh.DirectionAlgorithms{Cipher: ssh.CipherAES128GCM}}
	}
	for cipher, want := range map[string]bool{ssh.CipherChaCha20Poly1305: false, ssh.CipherAES256CTR: false, ssh.CipherAES128GCM: true, ssh.CipherAES256GCM: true} {
		if err := ordered(false, with(cipher)); (err == nil) != want {
			t.Errorf("%s: %v", cipher, err)
		}
		if err := ordered(true, with(cipher)); err != nil {
			t.Errorf("%s, strict: %v", cipher, err)
		}
		// Whoever logs in asks that, before the first proof.
		config := (&session{}).handshake(&opening{}, snapshot.Target{}, loginUser, nil, nil)
		if _, err := config.AuthCallback(&ssh.ClientAuthContext{Algorithms: with(cipher)}); want != (err == nil) || !want && !errors.Is(err, errOrder) {
			t.Errorf("%s, at the login: %v", cipher, err)
		}
	}
	first := &opening{}
	if err := first.look(append([]byte("welcome\r\nSSH-2.0-x\r\n"), kexInit("a,"+strictServer)...)); err != nil || !first.strict.Load() {
		t.Errorf("a strict target: %v %v", first.strict.Load(), err)
	}
	first = &opening{}
	if err := first.look(append([]byte("SSH-2.0-x\r\n"), kexInit("a,"+strictClient)...)); err != nil || first.strict.Load() {
		t.Errorf("another target: %v %v", first.strict.Load(), err)
	}
}

// TestTargetAlgorithms: a target may be older than clients, and nothing that is broken is spoken with
// it (checklist 3).
func TestTargetAlgorithms(t *testing.T) {
	insecure := ssh.InsecureAlgorithms()
	for name, test := range map[string]struct {
		config ssh.Config
		want   bool
	}{
		"MAC beside":        {ssh.Config{KeyExchanges: []string{ssh.KeyExchangeDH14SHA256}, Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA256}}, true},
		"SHA-1 in exchange": {ssh.Config{KeyExchanges: insecure.KeyExchanges}, false},
		"CBC":               {ssh.Config{Ciphers: []string{ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC}}, false},
		"RC4":               {ssh.Config{Ciphers: []string{ssh.InsecureCipherRC4256}}, false},
		"SHA-1 in MACs":     {ssh.Config{Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA1, ssh.InsecureHMACSHA196}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := rogueTarget(t, func(conn ssh.Conn, _ <-chan ssh.NewChannel, _ <-chan *ssh.Request) { _ = conn.Wait() },
				func(c *ssh.ServerConfig) { c.Config = test.config })
			if _, err := newBench(t, d).mustDial(t).NewSession(); (err == nil) != test.want {
				t.Errorf("err = %v, want taken: %v", err, test.want)
			}
		})
	}
}

// TestPasswordIsKept: a target that does not take the certificate of the session is not shown
// the password; one that asks for both is.
func TestPasswordIsKept(t *testing.T) {
	authority, _ := newKey(t)
	for name, test := range map[string]struct {
		signer func() ssh.Signer
		then   *ssh.ServerAuthCallbacks
		want   []string
	}{
		"certificate refused": {func() ssh.Signer { return certificate(t, authority, loginUser) }, nil, nil},
		"both":                {func() ssh.Signer { return certificate(t, authority, loginUser) }, &ssh.ServerAuthCallbacks{}, []string{canary}},
		"key refused":         {func() ssh.Signer { key, _ := newKey(t); return key }, nil, []string{canary}},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var shown []string
			password := func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
				mu.Lock()
				defer mu.Unlock()
				shown = append(shown, string(p))
				return nil, nil
			}
			d := rogueTarget(t, func(conn ssh.Conn, _ <-chan ssh.NewChannel, _ <-chan *ssh.Request) { _ = conn.Wait() }, func(c *ssh.ServerConfig) {
				c.PasswordCallback = password
				c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
					if test.then != nil {
						test.then.PasswordCallback = password
						return nil, &ssh.PartialSuccessError{Next: *test.then}
					}
					return nil, errors.New("not this one")
				}
			})
			b := newBench(t, d, func(c *protocoltest.Config, _ map[string]any) {
				c.SSHSigner = func(context.Context, access.SSHLogin) (ssh.Signer, error) { return test.signer(), nil }
			})
			client := b.mustDial(t)
			_, _ = client.NewSession()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(shown, test.want) {
				t.Errorf("the target was shown %q, want %q", shown, test.want)
			}
		})
	}
}
