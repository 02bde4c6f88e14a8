// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
)

// loginKey is a public key in DER and as PEM.
func loginKey(t *testing.T) (der []byte, text string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		t.Fatal(err)
	}
	return der, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestLogin (checklist 36): what is revoked is named until no proxy could take it any
// more; whatever is wrong makes all credentials worth nothing.
func TestLogin(t *testing.T) {
	der, text := loginKey(t)
	now := time.Now()
	credential := func(id string, ends time.Duration, change func(*v1alpha1.GatewayCredential)) v1alpha1.GatewayCredential {
		c := v1alpha1.GatewayCredential{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat(id, 32)}}
		c.Spec.ExpiresAt = metav1.NewTime(now.Add(ends))
		change(&c)
		return c
	}
	revoked := func(reason string) func(*v1alpha1.GatewayCredential) {
		return func(c *v1alpha1.GatewayCredential) { c.Spec.Revoke = &v1alpha1.Revocation{Reason: reason} }
	}
	var many []v1alpha1.GatewayCredential
	for i := range snapshot.MaxRevoked + 1 {
		c := credential("a", time.Hour, revoked("x"))
		c.Name = fmt.Sprintf("%032x", i)
		c.Spec.Owner = v1alpha1.CredentialOwner{Issuer: "https://issuer.example", Subject: c.Name}
		many = append(many, c)
	}
	for name, tc := range map[string]struct {
		reason      string
		keys        string
		credentials []v1alpha1.GatewayCredential
		want        snapshot.Login
		closed      string
	}{
		"NoKeys":  {reason: "nothing can be proven", credentials: many[:1]},
		"Good":    {reason: "nothing is revoked", keys: text, credentials: []v1alpha1.GatewayCredential{credential("a", time.Hour, func(*v1alpha1.GatewayCredential) {})}, want: snapshot.Login{Keys: [][]byte{der}}},
		"Revoked": {reason: "sorted, with the reason", keys: text, credentials: []v1alpha1.GatewayCredential{credential("b", time.Hour, revoked("lost")), credential("a", time.Hour, revoked("left"))}, want: snapshot.Login{Keys: [][]byte{der}, Revoked: []snapshot.Revoked{{ID: strings.Repeat("a", 32), Reason: "left"}, {ID: strings.Repeat("b", 32), Reason: "lost"}}}},
		"Over":    {reason: "it has expired, also by a clock that is behind", keys: text, credentials: []v1alpha1.GatewayCredential{credential("a", -CredentialSkew-time.Second, revoked("lost"))}, want: snapshot.Login{Keys: [][]byte{der}}},
		"JustNow": {reason: "a proxy's clock may be behind", keys: text, credentials: []v1alpha1.GatewayCredential{credential("a", -time.Second, revoked("lost"))}, want: snapshot.Login{Keys: [][]byte{der}, Revoked: []snapshot.Revoked{{ID: strings.Repeat("a", 32), Reason: "lost"}}}},
		"Long":    {reason: "a snapshot has room for so many words", keys: text, credentials: []v1alpha1.GatewayCredential{credential("a", time.Hour, revoked(strings.Repeat("é", 256)))}, want: snapshot.Login{Keys: [][]byte{der}, Revoked: []snapshot.Revoked{{ID: strings.Repeat("a", 32), Reason: strings.Repeat("é", 100) + "..."}}}},
		"Most":    {reason: "the bound itself", keys: text, credentials: many[:snapshot.MaxRevoked]},
		"TooMany": {reason: "none is good where not all owners can be told whose are revoked", keys: text, credentials: many, closed: "all gateway credentials are refused"},
		"Faulty":  {reason: "a key that cannot be read must not go unnoticed", keys: text + "garbage", closed: "keys.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Login(tc.keys, tc.credentials, now)
			switch {
			case tc.closed != "":
				if _, revoked := got.Revocation("any"); !revoked || !strings.Contains(got.Closed, tc.closed) || len(got.Revoked) > 0 {
					t.Errorf("%s: got %+v", tc.reason, got)
				}
			case name == "Most":
				if len(got.Revoked) != snapshot.MaxRevoked || got.Closed != "" {
					t.Errorf("%s: got %d, %q", tc.reason, len(got.Revoked), got.Closed)
				}
			default:
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: -want +got\n%s", tc.reason, diff)
				}
			}
		})
	}
}

// TestLoginOwners (checklist 38): who revokes many of their own has nobody refused but
// themselves, alone and together with others.
func TestLoginOwners(t *testing.T) {
	_, text := loginKey(t)
	now := time.Now()
	of := func(subject string, n int) []v1alpha1.GatewayCredential {
		var all []v1alpha1.GatewayCredential
		for i := range n {
			c := v1alpha1.GatewayCredential{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%024x%08x", subject, i)}}
			c.Spec.Owner = v1alpha1.CredentialOwner{Issuer: "https://issuer.example", Subject: subject}
			c.Spec.ExpiresAt, c.Spec.Revoke = metav1.NewTime(now.Add(time.Hour)), &v1alpha1.Revocation{Reason: "lost"}
			all = append(all, c)
		}
		return all
	}
	crowd := of("ann", 2)
	for i := range 40 {
		crowd = append(crowd, of(fmt.Sprintf("mallory%02d", i), snapshot.MaxRevokedOfOwner)...)
	}
	for name, tc := range map[string]struct {
		reason      string
		credentials []v1alpha1.GatewayCredential
		owners      int
	}{
		"Most":  {"the bound of one owner", append(of("ann", 2), of("mallory00", snapshot.MaxRevokedOfOwner)...), 0},
		"More":  {"one owner beyond the bound", append(of("ann", 2), of("mallory00", snapshot.MaxRevokedOfOwner+1)...), 1},
		"Crowd": {"many owners, none beyond the bound: room is made by those who have most", crowd, 9},
	} {
		t.Run(name, func(t *testing.T) {
			got := Login(text, tc.credentials, now)
			if got.Closed != "" || len(got.Owners) != tc.owners || len(got.Revoked)+len(got.Owners) > snapshot.MaxRevoked {
				t.Errorf("%s: %d owners, %d credentials, closed: %q", tc.reason, len(got.Owners), len(got.Revoked), got.Closed)
			}
			if _, refused := got.OwnerRevocation("https://issuer.example", "ann"); refused {
				t.Errorf("%s: refused is who revoked two", tc.reason)
			}
			for i := range tc.credentials {
				c := &tc.credentials[i]
				_, named := got.Revocation(c.Name)
				if _, whole := got.OwnerRevocation(c.Spec.Owner.Issuer, c.Spec.Owner.Subject); !named && !whole {
					t.Fatalf("%s: revoked and good: %s of %s", tc.reason, c.Name, c.Spec.Owner.Subject)
				}
			}
		})
	}
}

// TestNarrowLogin: a snapshot that does not fit leaves the previous one without what was
// revoked meanwhile, and without a key that is gone; it gets none that is new.
func TestNarrowLogin(t *testing.T) {
	kept, _ := loginKey(t)
	gone, _ := loginKey(t)
	fresh, _ := loginKey(t)
	previous := snapshot.Snapshot{Login: snapshot.Login{Keys: [][]byte{gone, kept}}}
	next := snapshot.Snapshot{Login: snapshot.Login{Keys: [][]byte{kept, fresh}, Revoked: []snapshot.Revoked{{ID: "x", Reason: "lost"}}}}
	want := snapshot.Login{Keys: [][]byte{kept}, Revoked: next.Login.Revoked}
	if diff := cmp.Diff(want, Narrow(previous, next).Login); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLoginIsOnlyWhereItCounts: a Connection whose providers have no login has nothing of
// it in its snapshot.
func TestLoginIsOnlyWhereItCounts(t *testing.T) {
	world := World{Login: snapshot.Login{Closed: "x"}}
	s := &snapshot.Snapshot{IdentityProviders: []snapshot.IdentityProvider{{Name: "a"}}}
	if got := loginOf(s, world); !got.IsZero() {
		t.Errorf("without: %+v", got)
	}
	s.IdentityProviders[0].Login = true
	if got := loginOf(s, world); got.IsZero() {
		t.Error("with: nothing")
	}
	with := v1alpha1.IdentityProvider{Spec: v1alpha1.IdentityProviderSpec{Login: &v1alpha1.LoginSettings{LifetimeSeconds: 300}}}
	if !compileProvider(&with).Login {
		t.Error("spec.login is not compiled")
	}
}

// TestPortalIsOnlyWhereItCounts: callers are shown the portal where somebody can log in there
// by a browser, to this Connection, and what comes of it counts.
func TestPortalIsOnlyWhereItCounts(t *testing.T) {
	der, _ := loginKey(t)
	portal := snapshot.LoginPortal{URL: "https://login.example"}
	provider := func(kind v1alpha1.IdentityProviderType, settings *v1alpha1.LoginSettings) v1alpha1.IdentityProvider {
		p := v1alpha1.IdentityProvider{Spec: v1alpha1.IdentityProviderSpec{Type: kind, Login: settings}}
		p.Name = "company"
		return p
	}
	browser := &v1alpha1.LoginSettings{LifetimeSeconds: 300, ClientID: "portal"}
	for name, tc := range map[string]struct {
		reason   string
		provider v1alpha1.IdentityProvider
		change   func(*World, *snapshot.Snapshot)
		want     bool
	}{
		"OIDC":      {"people log in", provider(v1alpha1.IdentityProviderOIDC, browser), nil, true},
		"SAML":      {"people log in", provider(v1alpha1.IdentityProviderSAML, &v1alpha1.LoginSettings{LifetimeSeconds: 300}), nil, true},
		"Exchange":  {"no client ID: tokens are exchanged", provider(v1alpha1.IdentityProviderOIDC, &v1alpha1.LoginSettings{LifetimeSeconds: 300}), nil, false},
		"Machines":  {"ServiceAccounts have no browser", provider(v1alpha1.IdentityProviderKubernetes, browser), nil, false},
		"NoLogin":   {"nothing is issued", provider(v1alpha1.IdentityProviderOIDC, nil), nil, false},
		"Elsewhere": {"the provider is not accepted", provider(v1alpha1.IdentityProviderOIDC, browser), func(_ *World, s *snapshot.Snapshot) { s.IdentityProviders[0].Name = "other" }, false},
		"NoKeys":    {"nothing proves what is issued", provider(v1alpha1.IdentityProviderOIDC, browser), func(w *World, _ *snapshot.Snapshot) { w.Login.Keys = nil }, false},
		"Closed":    {"nothing that is issued counts", provider(v1alpha1.IdentityProviderOIDC, browser), func(w *World, _ *snapshot.Snapshot) { w.Login.Closed = "x" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			world := World{Login: snapshot.Login{Keys: [][]byte{der}, Portal: portal}, Providers: []v1alpha1.IdentityProvider{tc.provider}}
			s := &snapshot.Snapshot{IdentityProviders: []snapshot.IdentityProvider{{Name: "company", Login: tc.provider.Spec.Login != nil}}}
			if tc.change != nil {
				tc.change(&world, s)
			}
			want := snapshot.LoginPortal{}
			if tc.want {
				want = portal
			}
			if got := loginOf(s, world).Portal; got != want {
				t.Errorf("%s: %+v, want %+v", tc.reason, got, want)
			}
		})
	}
}
