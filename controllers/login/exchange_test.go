// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
	idType        = "urn:ietf:params:oauth:token-type:id_token"
	x509Type      = "urn:doorward:params:oauth:token-type:x509"
)

// exchanging is a request with changes: pairs of name and value; an empty value leaves the
// parameter out.
func exchanging(subject string, changes ...string) url.Values {
	form := url.Values{"grant_type": {exchangeGrant}, "subject_token": {subject}, "subject_token_type": {idType}}
	for i := 0; i < len(changes); i += 2 {
		form.Del(changes[i])
		if changes[i+1] != "" {
			form.Set(changes[i], changes[i+1])
		}
	}
	return form
}

// stated is what a token of the portal says, proven by its public keys.
type stated struct {
	Issuer   string                     `json:"iss"`
	Audience string                     `json:"aud"`
	ID       string                     `json:"jti"`
	Provider string                     `json:"provider"`
	Proof    string                     `json:"proof"`
	Claims   map[string]json.RawMessage `json:"claims"`
	IssuedAt int64                      `json:"iat"`
	Expiry   int64                      `json:"exp"`
}

func proven(t *testing.T, token string) stated {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var s stated
	for _, key := range publicKeys(t) {
		if parsed.Claims(key, &s) == nil {
			return s
		}
	}
	t.Fatal("no public key of the portal proves the token")
	return s
}

func publicKeys(t *testing.T) []any {
	t.Helper()
	var published corev1.ConfigMap
	if err := manager.Get(t.Context(), client.ObjectKey{Namespace: operator, Name: compile.LoginKeysName}, &published); err != nil {
		t.Fatal(err)
	}
	all, err := gateway.ParseKeys([]byte(published.Data[compile.LoginKeysKey]))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	var keys []any
	for _, der := range all {
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func request(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"db.example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestExchangeToken(t *testing.T) {
	r := serve(t, nil)
	iat := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	got := r.token(exchanging(person(t, "alice", map[string]any{"iat": iat.Unix(), "groups": []string{"dev"}})))
	if got.status != 200 || got.text("token_type") != "Bearer" || got.text("issued_token_type") != jwtType {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	s := proven(t, got.text("access_token"))
	if s.Issuer != gateway.Issuer || s.Audience != gateway.Audience || s.Provider != "company" || s.ID != got.text("credential") {
		t.Errorf("the token says %+v", s)
	}
	if string(s.Claims["preferred_username"]) != `"alice"` || string(s.Claims["groups"]) != `["dev"]` || s.Claims["exp"] != nil || s.Claims["iat"] != nil {
		t.Errorf("the claims are %v", s.Claims)
	}
	if want := iat.Add(lifetime); s.Expiry != want.Unix() {
		t.Errorf("it ends at %d, want the lifetime from the token's iat, %d", s.Expiry, want.Unix())
	}
	spec := credential(t, s.ID).Spec
	want := v1alpha1.CredentialOwner{Issuer: people.URL(), Subject: "id-of-alice", Username: "alice", KubernetesUsername: "company:alice"}
	if spec.Owner != want || spec.Form != v1alpha1.GatewayCredentialToken || spec.ClientAddress != "127.0.0.1" || spec.ExpiresAt.Unix() != s.Expiry {
		t.Errorf("the object says %+v", spec)
	}
	if all := r.logs.all(); strings.Contains(all, got.text("access_token")) || !strings.Contains(all, s.ID) {
		t.Errorf("checklist 47: the log names the credential and holds no token:\n%s", all)
	}
}

func TestExchangeRefused(t *testing.T) {
	r := serve(t, nil)
	good := person(t, "mallory", nil)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr := request(t, ec)
	block, _ := pem.Decode([]byte(csr))
	block.Bytes[len(block.Bytes)-1] ^= 1
	forged := string(pem.EncodeToMemory(block))
	twice := exchanging(good)
	twice["subject_token"] = []string{good, good}
	cases := map[string]struct {
		reason, code string
		form         url.Values
	}{
		"Expired":        {"checklist 28: the verifiers of proxies judge", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}))},
		"Audience":       {"checklist 29: a token is for its audience", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"aud": "other"}))},
		"NoLogin":        {"a provider without spec.login issues nothing", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"aud": "closed"}))},
		"Unsigned":       {"checklist 28: alg none", "invalid_grant", exchanging("eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".")},
		"Altered":        {"checklist 28: claims that nobody signed", "invalid_grant", exchanging(altered(good))},
		"Garbage":        {"no token", "invalid_grant", exchanging("a.b.c")},
		"Huge":           {"checklist 28: size first", "invalid_grant", exchanging(strings.Repeat("a", 17<<10))},
		"TooOld":         {"nothing ends later than the lifetime after the issuer's word", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"iat": time.Now().Add(-lifetime).Unix()}))},
		"NoTime":         {"without iat nobody knows since when", "invalid_grant", exchanging(person(t, "mallory", map[string]any{"iat": nil}))},
		"NoSubject":      {"required", "invalid_request", exchanging("")},
		"SubjectType":    {"required", "invalid_request", exchanging(good, "subject_token_type", "")},
		"SAMLType":       {"another type", "invalid_request", exchanging(good, "subject_token_type", "urn:ietf:params:oauth:token-type:saml2")},
		"Requested":      {"another type", "invalid_request", exchanging(good, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")},
		"ForOthers":      {"credentials are for proxies", "invalid_target", exchanging(good, "audience", "https://bank.example")},
		"Twice":          {"RFC 6749, section 3.2", "invalid_request", twice},
		"Grant":          {"no other grant", "unsupported_grant_type", exchanging(good, "grant_type", "password")},
		"ActorType":      {"both or none", "invalid_request", exchanging(good, "actor_token", good)},
		"ActorIsSubject": {"nobody acts for themselves", "invalid_grant", exchanging(good, "actor_token", good, "actor_token_type", idType)},
		"CSRForToken":    {"a parameter of certificates", "invalid_request", exchanging(good, "csr", csr)},
		"NoCSR":          {"required", "invalid_request", exchanging(good, "requested_token_type", x509Type)},
		"CSRSignature":   {"the caller has to have the key", "invalid_request", exchanging(good, "requested_token_type", x509Type, "csr", forged)},
		"SmallRSA":       {"RSA of 3072 bits at least", "invalid_request", exchanging(good, "requested_token_type", x509Type, "csr", request(t, small))},
		"Curve":          {"P-256 and P-384", "invalid_request", exchanging(good, "requested_token_type", x509Type, "csr", request(t, p521))},
		"TwoCSRs":        {"one block", "invalid_request", exchanging(good, "requested_token_type", x509Type, "csr", csr+csr)},
		"HugeClaims":     {"what a proxy would not take is not issued", "invalid_request", exchanging(person(t, "mallory", map[string]any{"x": strings.Repeat("y", 9<<10)}))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := r.token(tc.form)
			if got.status != 400 || got.text("error") != tc.code || got.text("access_token") != "" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got %d %s, want %s", tc.reason, got.status, got.body, tc.code)
			}
			if strings.Contains(got.body, strings.Split(good, ".")[2]) {
				t.Errorf("checklist 47: the answer repeats the token: %s", got.body)
			}
		})
	}
	if found := credentialsOf(t, "id-of-mallory"); len(found) > 0 {
		t.Errorf("refusals left credentials: %d", len(found))
	}
}

// altered is a token whose claims are another's.
func altered(token string) string {
	parts := strings.Split(token, ".")
	parts[1] = strings.Split(token, ".")[1][:len(parts[1])-6] + "AAAAAA"
	return strings.Join(parts, ".")
}

func TestExchangeCertificate(t *testing.T) {
	r := serve(t, nil)
	got := r.token(exchanging(person(t, "carol", nil)))
	first := proven(t, got.text("access_token"))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"Ed25519": edwards, "P384": p384} {
		t.Run(name, func(t *testing.T) {
			made := r.token(exchanging(got.text("access_token"), "subject_token_type", jwtType, "requested_token_type", x509Type, "csr", request(t, key)))
			if made.status != 200 || made.text("token_type") != "N_A" || made.text("issued_token_type") != x509Type {
				t.Fatalf("got %d %s", made.status, made.body)
			}
			block, rest := pem.Decode([]byte(made.text("access_token")))
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err != nil || len(rest) > 0 {
				t.Fatal(err, string(rest))
			}
			if !proves(t, leaf) || leaf.Subject.CommonName != "carol" || len(leaf.DNSNames) > 0 || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
				t.Errorf("the certificate is %+v", leaf.Subject)
			}
			if leaf.NotAfter.Unix() != first.Expiry {
				t.Errorf("it ends at %s: nobody renews a proof by what it was proof for", leaf.NotAfter)
			}
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			spec := credential(t, made.text("credential")).Spec
			if spec.Form != v1alpha1.GatewayCredentialClientCertificate || spec.DerivedFrom != first.ID || spec.PublicKeyDigest != fmt.Sprintf("sha256:%x", sha256.Sum256(der)) {
				t.Errorf("the object says %+v", spec)
			}
		})
	}
	t.Run("Revoked", func(t *testing.T) {
		object := credential(t, first.ID)
		object.Spec.Revoke = &v1alpha1.Revocation{Reason: "lost"}
		if err := manager.Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		if object.Spec.Revoke.Username == "" {
			t.Error("who revoked is not stamped")
		}
		made := r.token(exchanging(got.text("access_token"), "subject_token_type", jwtType))
		if made.text("error") != "invalid_grant" || !strings.Contains(made.text("error_description"), "was revoked") {
			t.Errorf("a revoked credential is good for nothing: %d %s", made.status, made.body)
		}
	})
}

func proves(t *testing.T, leaf *x509.Certificate) bool {
	t.Helper()
	for _, key := range publicKeys(t) {
		if (&x509.Certificate{PublicKey: key, PublicKeyAlgorithm: x509.ECDSA}).CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil {
			return true
		}
	}
	return false
}

func TestDelegation(t *testing.T) {
	r := serve(t, nil)
	agent := robot(t, "helper", map[string]any{"iat": time.Now().Add(-30 * time.Minute).Unix()})
	acting := func(subject string) url.Values {
		return exchanging(subject, "actor_token", agent, "actor_token_type", jwtType)
	}
	got := r.token(acting(person(t, "dave", map[string]any{"act": map[string]any{"sub": "first", "iss": "https://first.example"}})))
	if got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	s := proven(t, got.text("access_token"))
	want := fmt.Sprintf(`{"act":{"iss":"https://first.example","sub":"first"},"iss":%q,"sub":"id-of-helper"}`, robots.URL())
	if string(s.Claims["act"]) != want {
		t.Errorf("the chain is %s, want %s", s.Claims["act"], want)
	}
	if ends := time.Unix(s.Expiry, 0); time.Until(ends) > 31*time.Minute {
		t.Errorf("it ends at %s: later than the actor's own proof", ends)
	}
	spec := credential(t, s.ID).Spec
	if spec.Owner.Username != "dave" || spec.Actor != (v1alpha1.CredentialActor{Issuer: robots.URL(), Subject: "id-of-helper"}) {
		t.Errorf("the object says %+v", spec)
	}
	cases := map[string]struct {
		reason, subject string
		want            string
	}{
		"MayAct":       {"the subject's word on who may act for it", person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-other", "iss": robots.URL()}}), "may_act"},
		"MayActOfOwn":  {"without an issuer it is the subject's own", person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-helper"}}), "may_act"},
		"MayActNobody": {"an issuer that is no text names nobody", person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-helper", "iss": 1}}), "may_act"},
		"Long":         {"a chain is bounded", person(t, "dave", map[string]any{"act": chain(8)}), "more than 8 actors"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := r.token(acting(tc.subject))
			if got.text("error") != "invalid_grant" || !strings.Contains(got.text("error_description"), tc.want) {
				t.Errorf("%s: got %d %s", tc.reason, got.status, got.body)
			}
		})
	}
	if got := r.token(acting(person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-helper", "iss": robots.URL()}}))); got.status != 200 {
		t.Errorf("whom the subject names may act: %d %s", got.status, got.body)
	}
	if got := r.token(acting(person(t, "dave", map[string]any{"kind": "Human"}))); got.status != 200 {
		t.Errorf("a person may be acted for, whose kind is then Agent: %d %s", got.status, got.body)
	}
	colleague := person(t, "colleague", nil)
	if got := r.token(exchanging(person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-colleague"}}), "actor_token", colleague, "actor_token_type", jwtType)); got.status != 200 {
		t.Errorf("one of the subject's own issuer may act: %d %s", got.status, got.body)
	}
	own := r.token(exchanging(agent)).text("access_token")
	got = r.token(exchanging(person(t, "dave", nil), "actor_token", own, "actor_token_type", jwtType))
	if got.text("error") != "invalid_grant" || !strings.Contains(got.text("error_description"), "a gateway token") {
		t.Errorf("whose revocation nothing would follow: %d %s", got.status, got.body)
	}
	if all := r.logs.all(); !strings.Contains(all, `"actorSubject"="id-of-helper"`) || !strings.Contains(all, `"subject"="id-of-dave"`) {
		t.Errorf("the log does not say who acts for whom:\n%s", all)
	}
}

func chain(n int) map[string]any {
	act := map[string]any{"sub": "last"}
	for range n - 1 {
		act = map[string]any{"sub": "next", "act": act}
	}
	return act
}

// TestProofStays: whatever is made of one proof has its id, so that a proxy finds out who
// uses it elsewhere, and another proof has another one.
func TestProofStays(t *testing.T) {
	r := serve(t, nil)
	token := person(t, "paula", nil)
	first := r.token(exchanging(token)).text("access_token")
	want := proven(t, first).Proof
	if len(want) != 32 {
		t.Fatalf("the proof is %q", want)
	}
	derived := r.token(exchanging(first, "subject_token_type", jwtType)).text("access_token")
	acted := r.token(exchanging(first, "subject_token_type", jwtType, "actor_token", robot(t, "helper", nil), "actor_token_type", jwtType)).text("access_token")
	for what, text := range map[string]string{"again": r.token(exchanging(token)).text("access_token"), "derived": derived, "acted": acted} {
		if got := proven(t, text).Proof; got != want {
			t.Errorf("%s: another proof: %q, want %q", what, got, want)
		}
	}
	if proven(t, r.token(exchanging(person(t, "paula", map[string]any{"jti": "other"}))).text("access_token")).Proof == want {
		t.Error("another proof has the same id")
	}
}

// TestQuota: nobody fills the API server with credentials, also by many requests at once,
// and nobody fills the snapshots with what is revoked.
func TestQuota(t *testing.T) {
	r := serve(t, nil)
	second := serve(t, r)
	token := person(t, "quinn", nil)
	var all sync.WaitGroup
	refusals := make(chan string, 44)
	for i := range cap(refusals) {
		all.Go(func() {
			at := r
			if i%2 == 1 {
				at = second
			}
			if got := at.token(exchanging(token)); got.status != 200 {
				refusals <- got.body
			}
		})
	}
	all.Wait()
	if found := credentialsOf(t, "id-of-quinn"); len(found) > 32 || len(found) == 0 {
		t.Errorf("%d were issued, want at most 32", len(found))
	}
	for len(refusals) > 0 {
		if body := <-refusals; !strings.Contains(body, "kubectl doorward credentials revoke") {
			t.Fatalf("the refusal names no remedy: %s", body)
		}
	}
	for range 32 {
		r.token(exchanging(token))
	}
	found := credentialsOf(t, "id-of-quinn")
	if len(found) != 32 {
		t.Errorf("%d were issued, want 32", len(found))
	}
	refused := r.token(exchanging(token)).text("error_description")
	named := 0
	for i := range found {
		if strings.Contains(refused, found[i].Name) {
			named++
		}
	}
	if named != 8 || len(refused) > 500 {
		t.Errorf("owners may not list, and are told %d names: %s", named, refused)
	}
	for i := range found {
		found[i].Spec.Revoke = &v1alpha1.Revocation{Reason: "again and again"}
		if err := manager.Update(t.Context(), &found[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.token(exchanging(token)); !strings.Contains(got.text("error_description"), "were revoked") {
		t.Errorf("revoked ones are kept and count: %d %s", got.status, got.body)
	}
}
