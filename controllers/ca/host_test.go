// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/test/sshhost"
)

var hostNames = []string{"doorward-shop.prod.svc", "localhost", "127.0.0.1"}

func hostAuthority(t *testing.T, now time.Time) (*HostAuthority, Pair) {
	t.Helper()
	pair, err := NewHostAuthority(defaults(t), now)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := LoadHost(pair)
	if err != nil {
		t.Fatal(err)
	}
	return authority, pair
}

func certify(t *testing.T, authority *HostAuthority, pair Pair, names []string, now time.Time) Pair {
	t.Helper()
	certified, err := authority.Certify(pair, "prod/shop", names, now)
	if err != nil {
		t.Fatal(err)
	}
	return certified
}

func shown(pair Pair) func() ([]ssh.Signer, error) {
	return func() ([]ssh.Signer, error) { return hostkey.Parse(pair.Key, pair.Certificate) }
}

// pinned is the line of known_hosts of somebody who has seen a host key.
func pinned(t *testing.T, pair Pair, host string) string {
	t.Helper()
	key, err := hostkey.ParsePrivate(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return host + " " + string(ssh.MarshalAuthorizedKey(key.PublicKey()))
}

// TestHostCertificateOpenSSH: checklist 6. OpenSSH's client believes a certificate of the
// authority for its names and in its time, and nothing else.
func TestHostCertificateOpenSSH(t *testing.T) {
	now := time.Now()
	authority, bundle := hostAuthority(t, now)
	_, foreign := hostAuthority(t, now)
	good := certify(t, authority, Pair{}, hostNames, now)
	renewed := certify(t, authority, good, hostNames, now)
	outside := certify(t, authority, Pair{}, []string{"bank.example"}, now)
	trusting := string(bundle.Certificate)
	tests := map[string]struct {
		reason string
		shows  Pair
		login  sshhost.Login
		// says is what the client has against it; empty where it logs in.
		says string
	}{
		"Name":    {"What @cert-authority is for.", good, sshhost.Login{Host: "localhost", KnownHosts: trusting}, ""},
		"Address": {"Addresses are names too.", good, sshhost.Login{Host: "127.0.0.1", KnownHosts: trusting}, ""},
		"Service": {"The name in the cluster.", good, sshhost.Login{Host: "localhost", Alias: hostNames[0], KnownHosts: trusting}, ""},
		"Bundle": {
			"One of the lines is enough.", good,
			sshhost.Login{Host: "localhost", KnownHosts: string(foreign.Certificate) + trusting},
			"",
		},
		"BehindOurs":   {"A caller's clock is a little behind.", certify(t, authority, Pair{}, hostNames, now.Add(4*time.Minute)), sshhost.Login{Host: "localhost", KnownHosts: trusting}, ""},
		"OtherName":    {"A proxy is not the proxy of another Connection.", good, sshhost.Login{Host: "localhost", Alias: "doorward-till.prod.svc", KnownHosts: trusting}, "not a listed principal"},
		"OtherAddress": {"Nor is it at another address.", good, sshhost.Login{Host: "localhost", Alias: "127.0.0.9", KnownHosts: trusting}, "not a listed principal"},
		"Outside":      {"The authority is trusted for its patterns only, even if its key was misused.", outside, sshhost.Login{Host: "localhost", Alias: "bank.example", KnownHosts: trusting}, "No ED25519 host key is known"},
		"Expired":      {"Its time is over.", certify(t, authority, Pair{}, hostNames, now.Add(-ServingLife-time.Hour)), sshhost.Login{Host: "localhost", KnownHosts: trusting}, "Certificate invalid: expired"},
		"NotYet":       {"Its time has not come.", certify(t, authority, Pair{}, hostNames, now.Add(time.Hour)), sshhost.Login{Host: "localhost", KnownHosts: trusting}, "Certificate invalid: not yet valid"},
		"Foreign":      {"Another authority than the trusted one.", good, sshhost.Login{Host: "localhost", KnownHosts: string(foreign.Certificate)}, "No ED25519 host key is known"},
		"Nobody":       {"Nothing is trusted on first use.", good, sshhost.Login{Host: "localhost"}, "No ED25519 host key is known"},
		"Revoked": {
			"An authority that was revoked is trusted no more.", good,
			sshhost.Login{Host: "localhost", KnownHosts: trusting + strings.Replace(trusting, "@cert-authority", "@revoked", 1)},
			"REVOKED",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := sshhost.Listen(t, shown(tc.shows)).OpenSSH(t, tc.login)
			if tc.says == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if refused := sshhost.Refused(err); refused != nil {
				t.Errorf("%s: %v", tc.reason, refused)
			} else if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: the client says %v, want %q", tc.reason, err, tc.says)
			}
		})
	}
	t.Run("Pinned", func(t *testing.T) {
		server := sshhost.Listen(t, shown(renewed))
		known := pinned(t, good, "[localhost]:"+server.Port)
		if err := server.OpenSSH(t, sshhost.Login{Host: "localhost", KnownHosts: known}); err != nil {
			t.Errorf("Who has pinned the key is not disturbed by a renewal of its certificate: %v", err)
		}
		server = sshhost.Listen(t, shown(outside))
		known = pinned(t, good, "[localhost]:"+server.Port)
		if err := sshhost.Refused(server.OpenSSH(t, sshhost.Login{Host: "localhost", KnownHosts: known})); err != nil {
			t.Errorf("Another key than the pinned one is another host: %v", err)
		}
	})
}

// TestCertifyRefuses: checklist 2. Without principals, a certificate would be good for
// everybody; with a pattern or a comma, for more than the name says.
func TestCertifyRefuses(t *testing.T) {
	now := time.Unix(1800000000, 0)
	authority, _ := hostAuthority(t, now)
	tests := map[string]struct {
		reason string
		names  []string
	}{
		"None":    {"It would name no host.", nil},
		"Empty":   {"An empty name is none.", []string{""}},
		"Comma":   {"It would be two.", []string{"a.svc,b.svc"}},
		"Pattern": {"It would be all.", []string{"*.svc"}},
		"Negated": {"It would be a pattern.", []string{"!a.svc"}},
		"Upper":   {"Clients look for lower case.", []string{"A.svc"}},
		"Line":    {"A line ends there.", []string{"a.svc\nb.svc"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := authority.Certify(Pair{}, "prod/shop", tc.names, now); err == nil {
				t.Errorf("%s: no error", tc.reason)
			}
		})
	}
}

func TestRenewHost(t *testing.T) {
	now := time.Unix(1800000000, 0)
	authority, bundle := hostAuthority(t, now)
	stranger, other := hostAuthority(t, now)
	good, second := certify(t, authority, Pair{}, hostNames, now), certify(t, authority, Pair{}, hostNames, now)
	// as signs what a good certificate says, changed.
	as := func(change func(*ssh.Certificate)) Pair {
		certificate, err := hostkey.ParseCertificate(good.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		change(certificate)
		if err := certificate.SignCert(rand.Reader, authority.signer); err != nil {
			t.Fatal(err)
		}
		return Pair{Certificate: ssh.MarshalAuthorizedKey(certificate), Key: good.Key}
	}
	torn := bytes.Replace(good.Certificate, []byte(" AAAA"), []byte(" AAAB"), 1)
	tests := map[string]struct {
		reason string
		pair   Pair
		names  []string
		bundle []byte
		now    time.Time
		want   bool
	}{
		"Fresh":      {"Nothing to do.", good, hostNames, bundle.Certificate, now, false},
		"OtherOrder": {"The order of names says nothing.", good, []string{"127.0.0.1", "localhost", hostNames[0]}, bundle.Certificate, now, false},
		"InBundle":   {"The next authority is in the bundle, too.", good, hostNames, join(other.Certificate, bundle.Certificate), now, false},
		"Missing":    {"The first one.", Pair{}, hostNames, bundle.Certificate, now, true},
		"OnlyKey":    {"A key without a certificate.", Pair{Key: good.Key}, hostNames, bundle.Certificate, now, true},
		"Torn":       {"It cannot be read.", Pair{torn, good.Key}, hostNames, bundle.Certificate, now, true},
		"OtherNames": {"The names changed.", good, []string{"localhost"}, bundle.Certificate, now, true},
		"Due":        {"Two thirds are over.", good, hostNames, bundle.Certificate, now.Add(61 * 24 * time.Hour), true},
		"NotDue":     {"They are not.", good, hostNames, bundle.Certificate, now.Add(58 * 24 * time.Hour), false},
		"Replaced":   {"Somebody wrote one of another authority.", certify(t, stranger, good, hostNames, now), hostNames, bundle.Certificate, now, true},
		"ForeignKey": {"Key and certificate do not belong together.", Pair{good.Certificate, second.Key}, hostNames, bundle.Certificate, now, true},
		"ForUsers":   {"A certificate for people is none for a host.", as(func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), hostNames, bundle.Certificate, now, true},
		"Option":     {"Clients refuse critical options that they do not know.", as(func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"source-address": "::/0"} }), hostNames, bundle.Certificate, now, true},
		"Endless":    {"The manager signs none without an end.", as(func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }), hostNames, bundle.Certificate, now, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := RenewHost(tc.pair, tc.names, tc.bundle, tc.now); got != tc.want {
				t.Errorf("%s: RenewHost = %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
	last, err := hostkey.ParseCertificate(certify(t, authority, Pair{}, hostNames, now.Add(AuthorityLife-time.Hour)).Certificate)
	if err != nil || last.ValidBefore != uint64(now.Add(AuthorityLife).Unix()) {
		t.Errorf("a certificate is good for longer than its authority: %v, %v", last, err)
	}
	if renewed := certify(t, authority, good, hostNames, now.Add(61*24*time.Hour)); !bytes.Equal(renewed.Key, good.Key) || bytes.Equal(renewed.Certificate, good.Certificate) {
		t.Error("renewal of a certificate changes the key, or not the certificate")
	}
	if renewed := certify(t, authority, Pair{Key: []byte("torn"), Certificate: good.Certificate}, hostNames, now); RenewHost(renewed, hostNames, bundle.Certificate, now) {
		t.Error("a key that cannot be read is not replaced")
	}
}

func TestHostPatterns(t *testing.T) {
	octets := func(format string, from, to int) string {
		var all []string
		for i := from; i <= to; i++ {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	tests := map[string]struct {
		reason  string
		domains []string
		ranges  []string
		want    string
	}{
		"Default":  {"Inside a cluster, and loopback.", DefaultDNSDomains, DefaultIPRanges, "svc,*.svc,cluster.local,*.cluster.local,localhost,*.localhost,127.*,::1"},
		"Address":  {"One address is itself.", nil, []string{"192.0.2.7/32"}, "192.0.2.7"},
		"Octets":   {"Whole octets stay.", nil, []string{"10.20.0.0/16", "192.0.2.0/24"}, "10.20.*,192.0.2.*"},
		"Bits":     {"Patterns have no bits, so each octet is named.", nil, []string{"172.16.0.0/12"}, octets("172.%d.*", 16, 31)},
		"LastBits": {"In the last octet too.", nil, []string{"192.0.2.8/30"}, octets("192.0.2.%d", 8, 11)},
		"All":      {"Names of hosts must not match: *.*.*.* would be those of four labels.", nil, []string{"0.0.0.0/0"}, octets("%d.*", 0, 255)},
		"Groups":   {"Whole groups stay.", nil, []string{"2001:db8::/32"}, "2001:db8:*"},
		"Zero":     {"A group that is zero may be left out of an address.", nil, []string{"fd00:0:0:1::/64"}, "fd00:*"},
		"Digit":    {"Less than a group is a digit.", nil, []string{"fc00::/7"}, "f*:*"},
		"Six":      {"No pattern matches [host]:port.", nil, []string{"::/0"}, "::*,0*:*,1*:*,2*:*,3*:*,4*:*,5*:*,6*:*,7*:*,8*:*,9*:*,a*:*,b*:*,c*:*,d*:*,e*:*,f*:*"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Constraints{DNSDomains: tc.domains}
			for _, text := range tc.ranges {
				_, network, err := net.ParseCIDR(text)
				if err != nil {
					t.Fatal(err)
				}
				c.IPRanges = append(c.IPRanges, network)
			}
			if got := hostPatterns(c); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestLoadHostRefuses(t *testing.T) {
	now := time.Unix(1800000000, 0)
	_, good := hostAuthority(t, now)
	line := string(good.Certificate)
	tests := map[string]struct{ reason, line string }{
		"Empty":    {"There is nothing.", ""},
		"TwoLines": {"One authority has one line.", line + line},
		"Plain":    {"It is a host's key and no authority's.", strings.TrimPrefix(line, "@cert-authority ")},
		"Revoked":  {"It is revoked.", strings.Replace(line, "@cert-authority", "@revoked", 1)},
		"NoLife":   {"Nobody could say when it ends.", strings.Replace(line, hostComment, "somebody:", 1)},
		"HalfLife": {"Nobody could say when it ends.", line[:strings.LastIndex(line, "/")] + "\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := LoadHost(Pair{Certificate: []byte(tc.line), Key: good.Key}); err == nil {
				t.Errorf("%s: no error", tc.reason)
			}
		})
	}
	if _, err := LoadHost(good); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if secret := fmt.Sprint(LoadHost(Pair{Certificate: good.Certificate, Key: good.Key[:len(good.Key)/2]})); strings.Contains(secret, "PRIVATE") {
		t.Errorf("an error shows the key: %s", secret)
	}
}
