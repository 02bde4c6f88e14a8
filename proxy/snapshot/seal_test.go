// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
)

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func sample() Snapshot {
	prefix := ""
	return Snapshot{
		Schema: Schema, Connection: Connection{Namespace: "shop", Name: "db", UID: "u", Generation: 3}, Revision: 7,
		Time: time.Unix(1800000000, 0).UTC(), Protocol: "postgres", Targets: []Target{{Host: "db.example", Port: 5432}},
		TLS: TLS{Mode: "VerifyFull"}, Credential: Credential{Type: "Secret", Secret: "db-credential"}, MaxStalenessSeconds: 300,
		IdentityProviders: []IdentityProvider{{Name: "company", Type: "OIDC", KubernetesUsernamePrefix: &prefix}},
		Login:             Login{Portal: LoginPortal{URL: "https://login.example", CA: "PEM"}},
		Policies:          policy.Set{Policies: []policy.Policy{}}, Sinks: []Sink{{Name: "out", Type: "Stdout"}},
	}
}

func TestSealOpen(t *testing.T) {
	key, want := newKey(t), sample()
	data, err := Seal(want, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(data, public(key))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, *got); d != "" {
		t.Errorf("-sealed +opened:\n%s", d)
	}
}

// TestOpenRefuses: what the manager did not sign for this very purpose, and what this
// version would not understand whole, is no snapshot.
func TestOpenRefuses(t *testing.T) {
	key, foreign := newKey(t), newKey(t)
	good, err := Seal(sample(), key)
	if err != nil {
		t.Fatal(err)
	}
	beat, err := SealHeartbeat(Heartbeat{UID: "u", Revision: 7}, key)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(plain string) map[string][]byte {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		if _, err := zip.Write([]byte(plain)); err != nil {
			t.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{KeySnapshot: packed.Bytes(), KeySnapshotSignature: sign(key, snapshotContext, packed.Bytes())}
	}
	with := func(name string, value []byte) map[string][]byte {
		data := maps.Clone(good)
		data[name] = value
		return data
	}
	flipped := bytes.Clone(good[KeySnapshot])
	flipped[len(flipped)/2] ^= 1

	tests := map[string]struct {
		reason string
		data   map[string][]byte
		key    ed25519.PublicKey
		want   error // nil for any
	}{
		"Empty":       {"There is nothing.", nil, public(key), ErrSignature},
		"NoSignature": {"Anybody could have written it.", with(KeySnapshotSignature, nil), public(key), ErrSignature},
		"OtherKey":    {"Somebody else signed it.", good, public(foreign), ErrSignature},
		"NoKey":       {"A key that is none verifies nothing.", good, nil, ErrSignature},
		"Changed":     {"One bit is another.", with(KeySnapshot, flipped), public(key), ErrSignature},
		"Truncated":   {"The end is missing.", with(KeySnapshot, good[KeySnapshot][:10]), public(key), ErrSignature},
		"Heartbeat": {
			"A heartbeat's signature is for a heartbeat.",
			map[string][]byte{KeySnapshot: beat[KeyHeartbeat], KeySnapshotSignature: beat[KeyHeartbeatSignature]},
			public(key), ErrSignature,
		},
		"Bomb":   {"A small Secret does not fill the memory.", signed(strings.Repeat(" ", MaxUnpackedBytes+1)), public(key), ErrTooLarge},
		"Field":  {"checklist 40: what is not known may be a restriction.", signed(`{"schema":"` + Schema + `","denyAll":true}`), public(key), nil},
		"Schema": {"Another version has other meanings.", signed(`{"schema":"doorward.dev/snapshot/v2"}`), public(key), nil},
		"Twice":  {"One document only.", signed(`{"schema":"` + Schema + `"}{}`), public(key), nil},
		"Behind": {"Nothing comes behind the document.", signed(`{"schema":"` + Schema + `"}]`), public(key), nil},
		"Brace":  {"Nothing comes behind the document.", signed(`{"schema":"` + Schema + `"} }`), public(key), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Open(tc.data, tc.key)
			if err == nil || got != nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s: Open() = %v, %v, want error %v", tc.reason, got, err, tc.want)
			}
		})
	}
}

// TestSealTooLarge: what would not fit a Secret is told before it is written.
func TestSealTooLarge(t *testing.T) {
	noise := make([]byte, MaxSealedBytes)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	s := sample()
	s.TLS.CA = base64.StdEncoding.EncodeToString(noise)
	if _, err := Seal(s, newKey(t)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("does not compress: %v, want %v", err, ErrTooLarge)
	}
	s.TLS.CA = strings.Repeat("a", MaxUnpackedBytes)
	if _, err := Seal(s, newKey(t)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("compresses well: %v, want %v", err, ErrTooLarge)
	}
}

func TestHeartbeat(t *testing.T) {
	key, want := newKey(t), Heartbeat{UID: "u", Revision: 7, Time: time.Unix(1800000000, 0).UTC()}
	data, err := SealHeartbeat(want, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenHeartbeat(data, public(key))
	if err != nil || got != want {
		t.Errorf("OpenHeartbeat() = %+v, %v, want %+v", got, err, want)
	}
	if _, err := OpenHeartbeat(data, public(newKey(t))); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v, want %v", err, ErrSignature)
	}
	data[KeyHeartbeat] = bytes.Replace(data[KeyHeartbeat], []byte("7"), []byte("8"), 1)
	if _, err := OpenHeartbeat(data, public(key)); !errors.Is(err, ErrSignature) {
		t.Errorf("another revision: %v, want %v", err, ErrSignature)
	}
}
