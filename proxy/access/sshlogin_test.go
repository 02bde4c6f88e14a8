// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
)

// witness is a credential that remembers the login it was asked for.
type witness struct {
	login  SSHLogin
	signer ssh.Signer
	err    error
}

func (*witness) Username() string              { return "service" }
func (*witness) Password() string              { return "" }
func (*witness) Certificate() *tls.Certificate { return nil }

func (w *witness) SSHSigner(_ context.Context, login SSHLogin) (ssh.Signer, error) {
	w.login = login
	return w.signer, w.err
}

// TestSSHLoginIsTheGrants: nothing but a Grant can say who logs in.
func TestSSHLoginIsTheGrants(t *testing.T) {
	login := reflect.TypeFor[SSHLogin]()
	for i := range login.NumField() {
		if field := login.Field(i); field.IsExported() {
			t.Errorf("a protocol can set SSHLogin.%s", field.Name)
		}
	}
}

func TestSSHSigner(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		rules  rules
		user   string
	}{
		"Credential": {reason: "no policy names a role", rules: allowing, user: "service"},
		"Role":       {reason: "a policy does", rules: withRole("deploy"), user: "deploy"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.rules)
			g := w.authorize()
			defer g.Close("")
			asked := []string{"permit-pty"}
			credential := &witness{}
			up := Upstream{Credential: credential}
			before := time.Now()
			if signer, err := g.SSHSigner(t.Context(), up, asked...); signer != nil || err != nil {
				t.Fatalf("none is none: %v, %v", signer, err)
			}
			asked[0] = "permit-X11-forwarding"
			got := credential.login
			from, until := got.Valid()
			if got.User() != tc.user || g.TargetUser(up) != tc.user || got.Session() != g.Session() || !slices.Equal(got.Extensions(), []string{"permit-pty"}) {
				t.Errorf("%s: the login is %+v", tc.reason, got)
			}
			if want := "user=alice provider=corp session=data/" + g.Session(); got.KeyID() != want {
				t.Errorf("key id %q, want %q", got.KeyID(), want)
			}
			if !from.Before(before) || before.Sub(from) > sshBackdate || until.Before(before) || until.Sub(before) > sshValidity+time.Minute {
				t.Errorf("valid from %v until %v, at %v", from, until, before)
			}
		})
	}
}

// TestSSHSignerEnds: a certificate is valid no longer than its session, and a
// session that has ended gets none.
func TestSSHSignerEnds(t *testing.T) {
	w := newWorld(t, allowing)
	w.caller.ExpiresAt = time.Now().Add(2 * time.Minute)
	g := w.authorize()
	defer g.Close("")
	credential := &witness{}
	if _, err := g.SSHSigner(t.Context(), Upstream{Credential: credential}); err != nil {
		t.Fatal(err)
	}
	if _, until := credential.login.Valid(); !until.Equal(w.caller.ExpiresAt) {
		t.Errorf("valid until %v, want the token's end %v", until, w.caller.ExpiresAt)
	}
	credential.login = SSHLogin{}
	g.End(ErrRevoked)
	if _, err := g.SSHSigner(t.Context(), Upstream{Credential: credential}); reason(err) != ReasonSessionEnded {
		t.Errorf("after the end: %v", err)
	}
	if credential.login.User() != "" {
		t.Error("the credential was asked after the end")
	}
}

// TestSSHSignerTroubles (checklist 49): why a credential cannot be used is for the
// operators; the caller hears that it is so.
func TestSSHSignerTroubles(t *testing.T) {
	w := newWorld(t, allowing)
	var told error
	w.gate.config.Trouble = func(_ string, cause error) { told = cause }
	g := w.authorize()
	defer g.Close("")
	_, err := g.SSHSigner(t.Context(), Upstream{Credential: &witness{err: errBoom}})
	if refusal := AsRefusal(err); refusal.Reason != ReasonUnavailable || strings.Contains(refusal.Error()+refusal.Hint, "boom") {
		t.Errorf("the caller is told %v", err)
	}
	if !errors.Is(told, errBoom) {
		t.Errorf("the operators are told %v", told)
	}
}

// TestSSHKeyID (checklist 48): whatever a caller is called, the key id is one line
// of printable ASCII that is bounded and reads in one way.
func TestSSHKeyID(t *testing.T) {
	long := strings.Repeat("ü", 200)
	for name, tc := range map[string]struct {
		reason string
		who    identity.Principal
		want   string // all but the session
	}{
		"Plain":     {"an address", identity.Principal{UserName: "alice+ops@example.com", Provider: "corp"}, "user=alice+ops@example.com provider=corp"},
		"Workload":  {"a service account", identity.Principal{UserName: "system:serviceaccount:ci:runner", Provider: "k8s"}, "user=system:serviceaccount:ci:runner provider=k8s"},
		"Forged":    {"a name that would end its field", identity.Principal{UserName: "eve provider=corp session=data/x", Provider: "lab"}, "user=eve%20provider%3Dcorp%20session%3Ddata/x provider=lab"},
		"Quotes":    {"and the key id in sshd's log", identity.Principal{UserName: `e" (serial 0) signed by`, Provider: "lab"}, "user=e%22%20%28serial%200%29%20signed%20by provider=lab"},
		"Terminal":  {"it draws, and turns round", identity.Principal{UserName: "a\x1b[2K\n\u202eb%", Provider: "lab"}, "user=a%1B%5B2K%0A%E2%80%AEb%25 provider=lab"},
		"NotUTF8":   {"any byte", identity.Principal{UserName: "a\xff\x00", Provider: "lab"}, "user=a%FF%00 provider=lab"},
		"Delegated": {"who acts for whom", identity.Principal{UserName: "alice", Provider: "corp", Delegation: []identity.Actor{{Issuer: "https://issuer.example", Subject: "agent,7"}, {Subject: "bot"}}}, "user=alice provider=corp actors=https://issuer.example|agent%2C7,bot"},
		"Long":      {"cut, with the whole's digest", identity.Principal{UserName: long, Provider: long, Delegation: []identity.Actor{{Subject: long}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			g := w.authorize()
			defer g.Close("")
			g.principal = tc.who
			got := g.sshKeyID()
			want := tc.want + " session=data/" + g.Session()
			if tc.want != "" && got != want {
				t.Errorf("%s: got  %q\nwant %q", tc.reason, got, want)
			}
			if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) || len(got) > 640 {
				t.Errorf("%s: %d bytes: %q", tc.reason, len(got), got)
			}
			if fields := strings.Fields(got); fields[len(fields)-1] != "session=data/"+g.Session() {
				t.Errorf("%s: the session is not the last field: %q", tc.reason, got)
			}
		})
	}
	one, other := keyIDPart(long+"1", maxKeyIDUser), keyIDPart(long+"2", maxKeyIDUser)
	if one == other || len(one) > maxKeyIDUser || strings.Count(one, "~") != 1 {
		t.Errorf("two long names are one: %q", one)
	}
	for n := range 12 {
		text := cut(percent(strings.Repeat("x", n)+long), maxKeyIDUser)
		kept, _, _ := strings.Cut(text, "~")
		if rest := strings.TrimLeft(kept, "x"); len(rest)%3 != 0 {
			t.Errorf("half of a byte is kept: %q", kept)
		}
	}
}
