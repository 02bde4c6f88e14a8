// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/doorward/doorward/proxy/hostkey"
)

func defaults(t *testing.T) Constraints {
	t.Helper()
	c, err := NewConstraints(DefaultDNSDomains, DefaultIPRanges)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func verify(t *testing.T, certificate, bundle []byte, name string, now time.Time) error {
	t.Helper()
	block, _ := pem.Decode(certificate)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now})
	return err
}

func TestIssue(t *testing.T) {
	now := time.Unix(1800000000, 0)
	pair, err := NewAuthority(defaults(t), now)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := Load(pair)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		name   string
		valid  bool
	}{
		"Service":  {"Names inside the cluster are what it is for.", "doorward-shop.prod.svc", true},
		"Local":    {"The playground serves on loopback.", "127.0.0.1", true},
		"Foreign":  {"A verifier refuses a name outside the constraints, even if the key was misused.", "bank.example", false},
		"Internet": {"The same for addresses.", "8.8.8.8", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			leaf, err := authority.Issue([]string{tc.name}, now)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(t, leaf.Certificate, pair.Certificate, tc.name, now); (err == nil) != tc.valid {
				t.Errorf("%s: verify: %v, want valid %t", tc.reason, err, tc.valid)
			}
			if got := defaults(t).Permits(tc.name); got != tc.valid {
				t.Errorf("%s: Permits = %t, want %t", tc.reason, got, tc.valid)
			}
		})
	}
}

// kinds of authority, which rotate alike.
var kinds = map[string]struct {
	form
	// issue signs a certificate for a name with an authority.
	issue func(t *testing.T, authority Pair, name string, now time.Time) Pair
	// verify says whether a caller with a bundle takes a certificate of that name.
	verify func(t *testing.T, pair Pair, bundle []byte, name string, now time.Time) error
	// count says how many authorities a bundle has.
	count func(bundle []byte) int
}{
	"Serving": {
		x509Form,
		func(t *testing.T, authority Pair, name string, now time.Time) Pair {
			t.Helper()
			loaded, err := Load(authority)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := loaded.Issue([]string{name}, now)
			if err != nil {
				t.Fatal(err)
			}
			return leaf
		},
		func(t *testing.T, pair Pair, bundle []byte, name string, now time.Time) error {
			t.Helper()
			return verify(t, pair.Certificate, bundle, name, now)
		},
		func(bundle []byte) int { return len(certificates(bundle)) },
	},
	"Hosts": {
		hostForm,
		func(t *testing.T, authority Pair, name string, now time.Time) Pair {
			t.Helper()
			loaded, err := LoadHost(authority)
			if err != nil {
				t.Fatal(err)
			}
			return certify(t, loaded, Pair{}, []string{name}, now)
		},
		verifyHost,
		func(bundle []byte) int { return len(hostLines(bundle)) },
	},
}

// verifyHost does as a client of x/crypto/ssh does with a bundle as its known_hosts.
func verifyHost(t *testing.T, pair Pair, bundle []byte, name string, now time.Time) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	callback, err := knownhosts.New(file)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := hostkey.ParseCertificate(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	// The clock of knownhosts is the machine's: the life is held against ours here.
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	if err := checker.CheckCert(name, certificate); err != nil {
		return err
	}
	certificate.ValidAfter, certificate.ValidBefore = 0, ssh.CertTimeInfinity
	err = callback(name+":22", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}, certificate)
	if err != nil && strings.Contains(err.Error(), "signature") {
		return nil // the authority is the one; what it signed is another life
	}
	return err
}

// TestRotation goes through two years: at every day, a certificate issued at
// any earlier day and not expired must verify with the bundle of that day, and
// one issued today with the bundle that callers copied a month ago.
func TestRotation(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			start := time.Unix(1800000000, 0)
			const name = "doorward-shop.prod.svc"
			type issued struct {
				pair Pair
				at   time.Time
			}
			var leaves []issued
			var bundles [][]byte
			var state State
			rotations := 0
			for day := range 730 {
				now := start.Add(time.Duration(day) * 24 * time.Hour)
				next, changed, err := kind.advance(state, defaults(t), now)
				if err != nil {
					t.Fatal(err)
				}
				if changed {
					rotations++
				}
				state = next
				bundles = append(bundles, state.Bundle())
				if day%10 != 0 {
					continue
				}
				leaf := kind.issue(t, state.Current, name, now)
				leaves = append(leaves, issued{leaf, now})
				if err := kind.verify(t, leaf, bundles[max(0, day-30)], name, now); err != nil {
					t.Fatalf("day %d: a month-old bundle does not verify a new certificate: %v", day, err)
				}
				for _, old := range leaves {
					if now.Sub(old.at) < ServingLife-24*time.Hour {
						if err := kind.verify(t, old.pair, state.Bundle(), name, now); err != nil {
							t.Fatalf("day %d: certificate of %s does not verify: %v", day, old.at, err)
						}
					}
				}
			}
			if rotations < 5 {
				t.Errorf("%d changes in two years: it does not rotate", rotations)
			}
			if n := kind.count(state.Bundle()); n > 3 {
				t.Errorf("bundle has %d certificates: expired ones are not dropped", n)
			}
		})
	}
}

// TestAdvanceLate: what a manager finds that was away for long, or that somebody
// laid hands on.
func TestAdvanceLate(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) { advanceLate(t, kind.form) })
	}
}

func advanceLate(t *testing.T, f form) {
	t.Helper()
	start := time.Unix(1800000000, 0)
	at := func(life float64) time.Time { return start.Add(time.Duration(life * float64(AuthorityLife))) }
	made := func(now time.Time, domains ...string) Pair {
		constraints := defaults(t)
		constraints.DNSDomains = append(constraints.DNSDomains, domains...)
		pair, err := f.make(constraints, now)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	first, next, wider := made(start), made(at(0.5)), made(start, "corp.example")
	tests := map[string]struct {
		reason string
		state  State
		now    time.Time
		// current is the authority that signs then; another than all there were where nil.
		current []byte
		fails   bool
	}{
		"Missing":       {"The first one.", State{}, start, nil, false},
		"NextInForce":   {"Callers who took the bundle since half of the life of the one that is over know the next.", State{Current: first, Next: next}, at(1.1), next.Certificate, false},
		"BothOver":      {"Nobody was there for two years.", State{Current: first, Next: next}, at(2), nil, false},
		"DamagedKey":    {"A key that is there is never replaced: a backup may have it.", State{Current: Pair{first.Certificate, []byte("torn")}, Next: next}, start, nil, true},
		"KeyGone":       {"Nor is what is left of one.", State{Current: Pair{Certificate: first.Certificate}}, start, nil, true},
		"LineGone":      {"Nor is a key without its certificate.", State{Current: Pair{Key: first.Key}}, start, nil, true},
		"KeyOfAnother":  {"Nor is one that somebody put together wrongly.", State{Current: Pair{first.Certificate, next.Key}}, start, nil, true},
		"DamagedAtHalf": {"The next one has signed nothing yet.", State{Current: first, Next: Pair{next.Certificate, first.Key}}, at(0.6), first.Certificate, false},
		"OtherBounds":   {"An administrator changed what may be signed.", State{Current: wider}, start, nil, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := f.advance(tc.state, defaults(t), tc.now)
			if (err != nil) != tc.fails {
				t.Fatalf("%s: Advance: %v, want an error: %t", tc.reason, err, tc.fails)
			}
			if tc.fails {
				return
			}
			if _, err := f.load(got.Current); err != nil {
				t.Fatalf("%s: nothing can be signed: %v", tc.reason, err)
			}
			known := slices.ContainsFunc([]Pair{first, next, wider}, func(p Pair) bool { return string(got.Current.Certificate) == string(p.Certificate) })
			if tc.current != nil && string(got.Current.Certificate) != string(tc.current) || tc.current == nil && known {
				t.Errorf("%s: another authority signs", tc.reason)
			}
			if _, changed, err := f.advance(got, defaults(t), tc.now); err != nil || changed {
				t.Errorf("%s: again: changed %t, %v", tc.reason, changed, err)
			}
		})
	}
}

func TestRenew(t *testing.T) {
	now := time.Unix(1800000000, 0)
	pair, err := NewAuthority(defaults(t), now)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := Load(pair)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority(defaults(t), now)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"localhost", "127.0.0.1"}
	leaf, err := authority.Issue(names, now)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason string
		pair   Pair
		names  []string
		bundle []byte
		now    time.Time
		want   bool
	}{
		"Fresh":      {"Nothing to do.", leaf, names, pair.Certificate, now, false},
		"OtherOrder": {"The order of names says nothing.", leaf, []string{"127.0.0.1", "localhost"}, pair.Certificate, now, false},
		"Missing":    {"The first one.", Pair{}, names, pair.Certificate, now, true},
		"OtherNames": {"The names changed.", leaf, []string{"localhost"}, pair.Certificate, now, true},
		"Due":        {"Two thirds are over.", leaf, names, pair.Certificate, now.Add(61 * 24 * time.Hour), true},
		"NotDue":     {"They are not.", leaf, names, pair.Certificate, now.Add(58 * 24 * time.Hour), false},
		"Replaced":   {"Somebody wrote a certificate of another authority.", leaf, names, other.Certificate, now, true},
		"ForeignKey": {"Key and certificate do not belong together.", Pair{leaf.Certificate, other.Key}, names, pair.Certificate, now, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Renew(tc.pair, tc.names, tc.bundle, tc.now); got != tc.want {
				t.Errorf("%s: Renew = %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

func TestConstraintsRefuse(t *testing.T) {
	tests := map[string]struct {
		reason  string
		domains []string
		ranges  []string
	}{
		"NoDomain": {"Without an entry every name would be permitted.", nil, DefaultIPRanges},
		"NoRange":  {"Without an entry every address would be permitted.", DefaultDNSDomains, nil},
		"Wildcard": {"A domain already stands for all below it.", []string{"*.example.org"}, DefaultIPRanges},
		"Comma":    {"It would be two patterns of known_hosts.", []string{"a.example,bank.example"}, DefaultIPRanges},
		"Line":     {"Or a line of its own.", []string{"a.example\n@cert-authority"}, DefaultIPRanges},
		"NotCIDR":  {"A range needs a length.", DefaultDNSDomains, []string{"10.0.0.1"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := NewConstraints(tc.domains, tc.ranges); err == nil {
				t.Errorf("%s: no error", tc.reason)
			}
		})
	}
}
