// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity/gateway"
)

// TestRotation goes through a year, by steps of six hours: a
// credential that was signed at any time is known as long as it is good, by keys that
// proxies had an hour before, and what was sealed is opened as long as it is good.
func TestRotation(t *testing.T) {
	start := time.Unix(1800000000, 0)
	var r ring
	type made struct {
		at  time.Time
		key string
	}
	var credentials []made
	published := map[string]time.Time{}
	changes := 0
	for now := start; now.Before(start.Add(400 * 24 * time.Hour)); now = now.Add(6 * time.Hour) {
		next, changed, err := advance(r, now)
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			changes++
		}
		r = next
		keys, err := r.parse(now)
		if err != nil {
			t.Fatal(err)
		}
		public := publicIDs(t, &r)
		for id := range public {
			if _, known := published[id]; !known {
				published[id] = now
			}
		}
		token, err := keys.authority.Token(gateway.Statement{ID: strings.Repeat("0", 32), Provider: "p", Proof: strings.Repeat("f", 32), Claims: []byte("{}"), IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		id := signedBy(t, token)
		if since := now.Sub(published[id]); since < signingLead && now != start {
			t.Fatalf("%s: signed by a key that is known for %s only", now, since)
		}
		credentials = append(credentials, made{now, id})
		for _, c := range credentials {
			if now.Sub(c.at) <= gateway.MaxLifetime && !public[c.key] {
				t.Fatalf("%s: the key of a credential of %s is gone", now, c.at)
			}
		}
	}
	if changes < 10 {
		t.Errorf("%d changes in a year: keys do not rotate", changes)
	}
	if len(r.Signing) > 2 || len(r.Sealing) > 2 {
		t.Errorf("old keys stay: %d and %d", len(r.Signing), len(r.Sealing))
	}
}

// publicIDs are the ids of the keys that are published.
func publicIDs(t *testing.T, r *ring) map[string]bool {
	t.Helper()
	all, err := r.public()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, der := range all {
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			t.Fatal(err)
		}
		id, err := gateway.KeyID(key)
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	return ids
}

func signedBy(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

func TestSeal(t *testing.T) {
	now := time.Unix(1800000000, 0)
	r, _, err := advance(ring{}, now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.parse(now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.sealer.seal("flow/1", "value", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(text)
	flipped[len(flipped)/2] ^= 1
	other, _, err := advance(ring{}, now)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.parse(now)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := foreign.sealer.seal("flow/1", "value", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason, purpose, text string
		now                   time.Time
		ok                    bool
	}{
		"Good":    {"what was sealed", "flow/1", text, now, true},
		"Late":    {"its time is over", "flow/1", text, now.Add(time.Minute), false},
		"Purpose": {"what was sealed for one thing is good for no other", "code", text, now, false},
		"Flow":    {"nor for another flow", "flow/2", text, now, false},
		"Altered": {"a bit is another", "flow/1", string(flipped), now, false},
		"Foreign": {"sealed by another portal", "flow/1", theirs, now, false},
		"Newline": {"one spelling", "flow/1", text + "\n", now, false},
		"Empty":   {"nothing", "flow/1", "", now, false},
		"Short":   {"a key id alone", "flow/1", text[:6], now, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got string
			err := keys.sealer.open(tc.purpose, tc.text, &got, tc.now)
			if (err == nil) != tc.ok || err != nil && !errors.Is(err, errUnsealed) || tc.ok != (got == "value") {
				t.Errorf("%s: got %q, %v", tc.reason, got, err)
			}
		})
	}
	if strings.Contains(text, "value") {
		t.Error("what is sealed can be read")
	}
}

// TestSealedLength: what a caller chooses changes the length of what is sealed by its own
// length alone, so that nobody guesses by it what else is in there.
func TestSealedLength(t *testing.T) {
	now := time.Unix(1800000000, 0)
	r, _, err := advance(ring{}, now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.parse(now)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "2f7c1e9a5b8d4c03"
	length := func(state string) int {
		text, err := keys.sealer.seal("code", map[string]string{"state": state, "nonce": secret}, now)
		if err != nil {
			t.Fatal(err)
		}
		return len(text)
	}
	if guessed, other := length(strings.Repeat(secret, 8)), length(strings.Repeat("90d3b6e2a71f485c", 8)); guessed != other {
		t.Errorf("whoever guesses it has %d characters, others %d", guessed, other)
	}
}

// TestDamagedKeys: keys that are there are never replaced.
func TestDamagedKeys(t *testing.T) {
	now := time.Unix(1800000000, 0)
	good, _, err := advance(ring{}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ring){
		"Signing": func(r *ring) { r.Signing = []ringKey{{Created: now, Key: []byte("torn")}} },
		"Sealing": func(r *ring) { r.Sealing = []ringKey{{Created: now, Key: []byte("short")}} },
		"SAML":    func(r *ring) { r.SAML = []byte("torn") },
		"Other":   func(r *ring) { r.Certificate = []byte("torn") },
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			change(&r)
			if _, err := r.parse(now); err == nil {
				t.Error("a damaged key is read")
			}
			if after, changed, err := advance(r, now); err != nil || changed || len(after.Signing) != 1 {
				t.Errorf("a damaged key is replaced: %t, %v", changed, err)
			}
		})
	}
}

func TestUserCode(t *testing.T) {
	code := userCode("device")
	if typed(spaced(code)) != code || typed(strings.ToLower(code)) != code || typed(" "+code[:3]+" "+code[3:]) != code {
		t.Errorf("%q is not read as people type it", spaced(code))
	}
	if userCode("other") == code {
		t.Error("two devices have one code")
	}
	for i := range userLetters {
		for _, letter := range userAlphabet {
			mistyped := code[:i] + string(letter) + code[i+1:]
			if mistyped != code && typed(mistyped) != "" {
				t.Errorf("%q is taken for a code", mistyped)
			}
		}
	}
	for _, text := range []string{"", "BCDF", code + "B", "AEIO-UAEI-O", "\x00" + code} {
		if typed(text) != "" {
			t.Errorf("%q is taken for a code", text)
		}
	}
}

func TestLoopback(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		ok           bool
	}{
		"Four":      {"RFC 8252, section 7.3", "http://127.0.0.1:51004/callback", true},
		"Six":       {"the same of IPv6", "http://[::1]:51004/callback", true},
		"TLS":       {"programs have no certificate", "https://127.0.0.1:51004/callback", false},
		"OtherLoop": {"one address", "http://127.0.0.2:51004/callback", false},
		"LongSix":   {"one spelling", "http://[0:0:0:0:0:0:0:1]:51004/callback", false},
		"Zone":      {"one spelling", "http://[::1%25lo]:51004/callback", false},
		"Fragment":  {"nothing else", "http://127.0.0.1:51004/callback#x", false},
		"Slash":     {"nothing else", "http://127.0.0.1:51004/callback/", false},
		"Up":        {"nothing else", "http://127.0.0.1:51004/x/../callback", false},
		"PortZero":  {"no port", "http://127.0.0.1:0/callback", false},
		"Case":      {"one spelling", "HTTP://127.0.0.1:51004/callback", false},
		"Relative":  {"no address", "/callback", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := loopback(tc.text); (err == nil) != tc.ok {
				t.Errorf("%s: got %v, want accepted %t", tc.reason, err, tc.ok)
			}
		})
	}
}
