// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
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

// TestRotation goes through two years: at every day, a certificate issued at
// any earlier day and not expired must verify with the bundle of that day, and
// one issued today with the bundle that callers copied a month ago.
func TestRotation(t *testing.T) {
	start := time.Unix(1800000000, 0)
	names := []string{"doorward-shop.prod.svc"}
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
		next, changed, err := Advance(state, defaults(t), now)
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
		authority, err := Load(state.Current)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := authority.Issue(names, now)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, issued{leaf, now})
		if err := verify(t, leaf.Certificate, bundles[max(0, day-30)], names[0], now); err != nil {
			t.Fatalf("day %d: a month-old bundle does not verify a new certificate: %v", day, err)
		}
		for _, old := range leaves {
			if now.Sub(old.at) < ServingLife-24*time.Hour {
				if err := verify(t, old.pair.Certificate, state.Bundle(), names[0], now); err != nil {
					t.Fatalf("day %d: certificate of %s does not verify: %v", day, old.at, err)
				}
			}
		}
	}
	if rotations < 5 {
		t.Errorf("%d changes in two years: it does not rotate", rotations)
	}
	if n := len(certificates(state.Bundle())); n > 3 {
		t.Errorf("bundle has %d certificates: expired ones are not dropped", n)
	}
}

// TestAdvanceLate: what a manager finds that was away for long, or that somebody
// laid hands on.
func TestAdvanceLate(t *testing.T) {
	start := time.Unix(1800000000, 0)
	at := func(life float64) time.Time { return start.Add(time.Duration(life * float64(AuthorityLife))) }
	made := func(now time.Time) Pair {
		pair, err := NewAuthority(defaults(t), now)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	first, next := made(start), made(at(0.5))
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
		"KeyOfAnother":  {"Nor is one that somebody put together wrongly.", State{Current: Pair{first.Certificate, next.Key}}, start, nil, true},
		"DamagedAtHalf": {"The next one has signed nothing yet.", State{Current: first, Next: Pair{next.Certificate, first.Key}}, at(0.6), first.Certificate, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := Advance(tc.state, defaults(t), tc.now)
			if (err != nil) != tc.fails {
				t.Fatalf("%s: Advance: %v, want an error: %t", tc.reason, err, tc.fails)
			}
			if tc.fails {
				return
			}
			if _, err := Load(got.Current); err != nil {
				t.Fatalf("%s: nothing can be signed: %v", tc.reason, err)
			}
			known := string(got.Current.Certificate) == string(first.Certificate) || string(got.Current.Certificate) == string(next.Certificate)
			if tc.current != nil && string(got.Current.Certificate) != string(tc.current) || tc.current == nil && known {
				t.Errorf("%s: another authority signs", tc.reason)
			}
			if _, changed, err := Advance(got, defaults(t), tc.now); err != nil || changed {
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
