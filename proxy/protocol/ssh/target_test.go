// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
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
