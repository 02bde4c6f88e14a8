// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTokenClasses (checklist 29): a token of the issuer is none of the gateway's and the
// other way round, whoever signed it and whatever it says of itself.
func TestTokenClasses(t *testing.T) {
	issuer, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = issuer.Close() })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	kid, err := gateway.KeyID(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := oidc.NewPool(t.Context())
	defer pool.Close()
	verifierOf := func(change ...func(*snapshot.Snapshot)) identity.Verifier {
		s := &snapshot.Snapshot{
			Login: snapshot.Login{Keys: [][]byte{der}},
			IdentityProviders: []snapshot.IdentityProvider{{Name: "corp", Type: provider.OIDC, Login: true, OIDC: &snapshot.OIDC{
				IssuerURL: issuer.URL(), Audiences: []string{"doorward", gateway.Audience}, CertificateAuthority: string(issuer.CertificateAuthorityPEM),
				Mapped: snapshot.Mapped{Username: snapshot.ClaimMapping{Claim: "sub"}},
			}}},
		}
		for _, c := range change {
			c(s)
		}
		v, err := provider.Snapshot(pool, nil)(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	now := time.Now().Truncate(time.Second)
	statement := gateway.Statement{
		ID: strings.Repeat("a", 32), Provider: "corp", Proof: strings.Repeat("f", 32), IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		Claims: json.RawMessage(fmt.Sprintf(`{"iss":%q,"aud":"doorward","sub":"ann"}`, issuer.URL())),
	}
	ours, err := authority.Token(statement)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := issuer.Token(map[string]any{"sub": "ann", "aud": "doorward"})
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf()
	got, err := v.Verify(t.Context(), identity.BearerToken(ours))
	want := identity.Issued{ID: statement.ID, KeyID: kid, ProvenBy: "oidc"}
	if err != nil || got.UserName != "ann" || got.Method != provider.MethodGatewayToken || got.Credential != want || got.ProofID != statement.Proof || !got.ExpiresAt.Equal(statement.ExpiresAt) {
		t.Fatalf("the gateway's token: %+v, %v", got, err)
	}
	if got, err := v.Verify(t.Context(), identity.BearerToken(theirs)); err != nil || got.Credential != (identity.Issued{}) || got.Method != "oidc" {
		t.Fatalf("the issuer's token: %+v, %v", got, err)
	}

	signed := func(by jose.SigningKey, payload map[string]any, header map[string]any) string {
		t.Helper()
		encoded, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := oidctest.Sign(by, encoded, header)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	issuers := issuer.SigningKey()
	byIssuer, byUs := jose.SigningKey{Algorithm: jose.ES256, Key: issuers.Key}, jose.SigningKey{Algorithm: jose.ES256, Key: key}
	asGateway := map[string]any{
		"iss": gateway.Issuer, "aud": gateway.Audience, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 600,
		"jti": statement.ID, "id": statement.ID, "provider": "corp", "proof": statement.Proof, "claims": statement.Claims,
	}
	asIssuer := map[string]any{"iss": issuer.URL(), "aud": "doorward", "sub": "ann", "exp": now.Unix() + 600}
	for name, test := range map[string]struct{ reason, token string }{
		"IssuerAsGateway":     {"the issuer speaks for the manager", signed(byIssuer, asGateway, map[string]any{"kid": issuers.KeyID, "typ": gateway.TokenType})},
		"IssuerByOurKeyID":    {"the issuer speaks for the manager, by its key's id", signed(byIssuer, asGateway, map[string]any{"kid": kid, "typ": gateway.TokenType})},
		"GatewayAsIssuer":     {"the manager's key makes no token of an issuer", signed(byUs, asIssuer, map[string]any{"kid": kid, "typ": "JWT"})},
		"GatewayTypeAtIssuer": {"a token of the issuer's that is of the gateway's type", signed(byIssuer, asIssuer, map[string]any{"kid": issuers.KeyID, "typ": gateway.TokenType})},
		"IssuerTypeAtGateway": {"the manager's key, and a type of any JWT", signed(byUs, asGateway, map[string]any{"kid": kid, "typ": "JWT"})},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := v.Verify(t.Context(), identity.BearerToken(test.token)); !errors.Is(err, identity.ErrRejected) {
				t.Errorf("%s: %+v, %v", test.reason, got, err)
			}
		})
	}
	secret := gateway.NewSecret()
	toHandshake := statement
	toHandshake.Binding = gateway.Challenge(secret)
	bound, err := authority.Token(toHandshake)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Verify(t.Context(), identity.BoundToken(bound, secret)); err != nil || got.UserName != "ann" || got.Method != provider.MethodGatewayToken {
		t.Errorf("a bound token with its secret: %+v, %v", got, err)
	}
	for name, credential := range map[string]identity.Credential{
		"a bound token alone": identity.BearerToken(bound), "an unbound one with a secret": identity.BoundToken(ours, secret),
		"an issuer's with a secret": identity.BoundToken(theirs, secret), "with another secret": identity.BoundToken(bound, gateway.NewSecret()),
	} {
		if got, err := v.Verify(t.Context(), credential); !errors.Is(err, identity.ErrRejected) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	certificate := identity.ClientCertificate([]byte("garbage"))
	if _, err := v.Verify(t.Context(), certificate); !errors.Is(err, identity.ErrForeign) {
		t.Errorf("a certificate of somebody else's is no credential: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", certificate, certificate, struct{ c identity.Credential }{certificate}, certificate); strings.Contains(text, "garbage") || strings.Contains(text, "103") {
		t.Errorf("checklist 49: it prints: %s", text)
	}
	sshKey, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sshCertificate, err := authority.SSHCertificate(statement, sshKey, []string{"root"})
	if err != nil {
		t.Fatal(err)
	}
	ofSSH := identity.SSHPublicKey(sshCertificate.Marshal())
	got, err = v.Verify(t.Context(), ofSSH)
	if err != nil || got.UserName != "ann" || got.Method != provider.MethodSSHCertificate || got.Credential != want || got.ProofID != statement.Proof || !got.ExpiresAt.Equal(statement.ExpiresAt) {
		t.Errorf("the gateway's SSH certificate: %+v, %v", got, err)
	}
	for name, credential := range map[string]identity.Credential{
		"a plain key of SSH": identity.SSHPublicKey(sshKey.Marshal()), "a certificate of SSH as one of TLS": identity.ClientCertificate(sshCertificate.Marshal()),
	} {
		if got, err := v.Verify(t.Context(), credential); !errors.Is(err, identity.ErrForeign) {
			t.Errorf("%s is no credential: %+v, %v", name, got, err)
		}
	}
	if got, err := v.Verify(t.Context(), identity.SSHPublicKey(nil)); err == nil {
		t.Errorf("nothing proves %+v", got)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", ofSSH, ofSSH, struct{ c identity.Credential }{ofSSH}, ofSSH); strings.Contains(text, "ann") || strings.Contains(text, "115 115 104") {
		t.Errorf("checklist 49: it prints: %s", text)
	}
	for name, test := range map[string]struct {
		reason string
		change func(*snapshot.Snapshot)
	}{
		"NoLogin": {"a provider without login vouches for nobody", func(s *snapshot.Snapshot) { s.IdentityProviders[0].Login = false }},
		"Renamed": {"another provider of the same issuer does not either", func(s *snapshot.Snapshot) { s.IdentityProviders[0].Name = "other" }},
		"NoKeys":  {"no keys, no credentials", func(s *snapshot.Snapshot) { s.Login = snapshot.Login{} }},
		"Closed": {"why nobody is good is said, and nothing that does not help", func(s *snapshot.Snapshot) {
			s.Login = snapshot.Login{Closed: "the keys cannot be read: ask an admin"}
		}},
		"Revoked": {"checklist 36", func(s *snapshot.Snapshot) { s.Login.Revoked = []snapshot.Revoked{{ID: statement.ID, Reason: "lost"}} }},
		"Owner": {"too many of the owner's are revoked", func(s *snapshot.Snapshot) {
			s.Login.Owners = []snapshot.RevokedOwner{{Digest: snapshot.OwnerDigest(issuer.URL(), "ann"), Reason: "many"}}
		}},
		"Audience": {"the claims are still judged", func(s *snapshot.Snapshot) { s.IdentityProviders[0].OIDC.Audiences = []string{gateway.Audience} }},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := verifierOf(test.change).Verify(t.Context(), identity.BearerToken(ours)); !errors.Is(err, identity.ErrRejected) {
				t.Errorf("%s: %+v, %v", test.reason, got, err)
			}
			if got, err := verifierOf(test.change).Verify(t.Context(), ofSSH); !errors.Is(err, identity.ErrRejected) && !errors.Is(err, identity.ErrForeign) {
				t.Errorf("of the SSH certificate, %s: %+v, %v", test.reason, got, err)
			}
		})
	}
	reserved := &snapshot.IdentityProvider{Name: "x", Type: provider.OIDC, OIDC: &snapshot.OIDC{IssuerURL: gateway.Issuer, Audiences: []string{gateway.Audience}, Mapped: snapshot.Mapped{Username: snapshot.ClaimMapping{Claim: "sub"}}}}
	if err := provider.Check(reserved); err == nil || !strings.Contains(err.Error(), "own login") {
		t.Errorf("an IdentityProvider is the manager's own login: %v", err)
	}
}

// TestCredentialKeepsTheProvidersBound: what a provider bounds its callers to, such as the
// hour of ServiceAccounts whom nobody reviews, holds for their credentials.
func TestCredentialKeepsTheProvidersBound(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := oidc.NewPool(t.Context())
	defer pool.Close()
	const cluster = "https://cluster.example"
	v, err := provider.Snapshot(pool, nil)(t.Context(), &snapshot.Snapshot{
		Login: snapshot.Login{Keys: [][]byte{der}},
		IdentityProviders: []snapshot.IdentityProvider{{Name: "cluster", Type: provider.Kubernetes, Login: true, Kubernetes: &snapshot.Kubernetes{
			IssuerURL: cluster, Audiences: []string{"doorward"}, Verification: snapshot.VerifyIssuerKeys,
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	token, err := authority.Token(gateway.Statement{
		ID: strings.Repeat("a", 32), Provider: "cluster", Proof: strings.Repeat("f", 32), IssuedAt: now, ExpiresAt: now.Add(12 * time.Hour),
		Claims: json.RawMessage(`{"iss":"` + cluster + `","aud":["doorward"],"sub":"system:serviceaccount:ci:builder","kubernetes.io":{"namespace":"ci","serviceaccount":{"name":"builder","uid":"1"}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Verify(t.Context(), identity.BearerToken(token))
	if err != nil || got.ExpiresAt.After(now.Add(2*time.Hour)) {
		t.Errorf("it ends at %s, %v", got.ExpiresAt, err)
	}
}
