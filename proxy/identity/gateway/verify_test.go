// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

func never(string) (string, bool) { return "", false }

func derOf(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func verifierOf(t *testing.T, revoked func(string) (string, bool), keys ...*ecdsa.PrivateKey) *gateway.Verifier {
	t.Helper()
	var all [][]byte
	for _, key := range keys {
		all = append(all, derOf(t, key))
	}
	v, err := gateway.NewVerifier(all, "", revoked)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign makes a compact JWS of whatever is wanted.
func sign(t *testing.T, key jose.SigningKey, payload string, header map[jose.HeaderKey]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestTokenVerified: what the manager signs, a proxy reads, with the credential's own
// dates in the claims.
func TestTokenVerified(t *testing.T) {
	former, key := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, never, former, key)
	largest := statement()
	largest.Claims = json.RawMessage(`{"a":"` + strings.Repeat("x", gateway.MaxClaimsBytes-8) + `"}`)
	token, err := authority.Token(largest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Token(token); err != nil {
		t.Errorf("the largest that is signed is refused: %v", err)
	}
	issued := statement()
	issued.Claims = json.RawMessage(`{"iss":"https://idp.example","sub":"4711","exp":1,"nbf":9999999999}`)
	if token, err = authority.Token(issued); err != nil {
		t.Fatal(err)
	}
	got, err := v.Token(token)
	if err != nil {
		t.Fatal(err)
	}
	at, end := issued.IssuedAt.Unix(), issued.ExpiresAt.Unix()
	want := fmt.Sprintf(`{"exp":%d,"iat":%d,"iss":"https://idp.example","nbf":%d,"sub":"4711"}`, end, at, at)
	kid, _ := gateway.KeyID(&key.PublicKey)
	if string(got.Claims) != want || got.ID != id || got.Provider != "corp" || got.KeyID != kid || !got.ExpiresAt.Equal(issued.ExpiresAt) {
		t.Errorf("Token = %+v, claims %s, want %s", got, got.Claims, want)
	}
}

// TestTokenRefused (checklist 28, 29): the attacks on a JWT, and tokens of another class.
func TestTokenRefused(t *testing.T) {
	key, other := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	kid, err := gateway.KeyID(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, func(asked string) (string, bool) { return "laptop lost", asked == strings.Repeat("f", 32) }, key)
	now := time.Now().Unix()
	payload := func(change ...string) string {
		values := map[string]string{
			"iss": `"` + gateway.Issuer + `"`, "aud": `"` + gateway.Audience + `"`, "iat": fmt.Sprint(now), "nbf": fmt.Sprint(now), "exp": fmt.Sprint(now + 3600),
			"jti": `"` + id + `"`, "id": `"` + id + `"`, "provider": `"corp"`, "proof": `"` + proof + `"`, "claims": `{"iss":"https://idp.example","sub":"4711"}`,
		}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == "" {
				delete(values, change[i])
				continue
			}
			values[change[i]] = change[i+1]
		}
		var members []string
		for name, value := range values {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	header := func(change ...any) map[jose.HeaderKey]any {
		values := map[jose.HeaderKey]any{"typ": gateway.TokenType, "kid": kid}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == nil {
				delete(values, jose.HeaderKey(change[i].(string)))
				continue
			}
			values[jose.HeaderKey(change[i].(string))] = change[i+1]
		}
		return values
	}
	by := func(key any) jose.SigningKey { return jose.SigningKey{Algorithm: jose.ES256, Key: key} }
	good := sign(t, by(key), payload(), header())
	if _, err := v.Token(good); err != nil {
		t.Fatalf("the token that all others differ from: %v", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(good, ".")
	none := encode([]byte(fmt.Sprintf(`{"alg":"none","typ":%q,"kid":%q}`, gateway.TokenType, kid)))
	der := derOf(t, key)
	text := func(s string) string { return `"` + s + `"` }
	for name, test := range map[string]struct{ reason, token, says string }{
		"None":         {"alg none is no signature", none + "." + parts[1] + ".", "not signed with ES256"},
		"Confused":     {"the public key is no secret", sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: der}, payload(), header()), "not signed with ES256"},
		"Foreign":      {"another key by our id", sign(t, by(other), payload(), header()), "signature"},
		"Unknown":      {"a key that is not the manager's", sign(t, by(other), payload(), header("kid", "x")), "not the manager's"},
		"NoKey":        {"the key is named", sign(t, by(key), payload(), header("kid", nil)), "kid"},
		"Embedded":     {"a key that the token brings along", sign(t, by(other), payload(), header("jwk", map[string]string{"kty": "EC"})), "more than"},
		"Path":         {"an id is looked up, not followed", sign(t, by(key), payload(), header("kid", "../../dev/null")), "not the manager's"},
		"Critical":     {"an extension that we do not know", sign(t, by(key), payload(), header("crit", []string{"x"}, "x", "y")), "more than"},
		"PlainJWT":     {"a token of another class", sign(t, by(key), payload(), header("typ", "JWT")), "another type"},
		"TypeCase":     {"the type is exact", sign(t, by(key), payload(), header("typ", "Gateway+JWT")), "another type"},
		"Untyped":      {"the type must be there", sign(t, by(key), payload(), header("typ", nil)), "another type"},
		"Issuer":       {"exact", sign(t, by(key), payload("iss", text(gateway.Issuer+"/")), header()), "iss"},
		"Audience":     {"exact", sign(t, by(key), payload("aud", text("other")), header()), "aud"},
		"Audiences":    {"one audience, not a list with ours", sign(t, by(key), payload("aud", `["`+gateway.Audience+`","x"]`), header()), "aud"},
		"Expired":      {"it was good", sign(t, by(key), payload("iat", fmt.Sprint(now-3600), "nbf", fmt.Sprint(now-3600), "exp", fmt.Sprint(now)), header()), "expired at"},
		"Early":        {"not good yet", sign(t, by(key), payload("iat", fmt.Sprint(now+120), "nbf", fmt.Sprint(now+120)), header()), "not valid before"},
		"Long":         {"no key makes an eternal one", sign(t, by(key), payload("exp", fmt.Sprint(now+43201)), header()), "lifetime"},
		"NoEnd":        {"exp must be there", sign(t, by(key), payload("exp", ""), header()), "exp"},
		"Fraction":     {"whole seconds", sign(t, by(key), payload("exp", fmt.Sprintf("%d.5", now+60)), header()), "exp"},
		"Begins":       {"one beginning", sign(t, by(key), payload("nbf", fmt.Sprint(now-1)), header()), "differ"},
		"TwoIDs":       {"revocation goes by one id", sign(t, by(key), payload("jti", text(strings.Repeat("0", 32))), header()), "differ"},
		"OddID":        {"an id is a name", sign(t, by(key), payload("id", text(strings.Repeat("Z", 32)), "jti", text(strings.Repeat("Z", 32))), header()), "an id of 32 digits"},
		"Revoked":      {"checklist 36", sign(t, by(key), payload("id", text(strings.Repeat("f", 32)), "jti", text(strings.Repeat("f", 32))), header()), "was revoked: laptop lost"},
		"Twice":        {"one name once", sign(t, by(key), strings.Replace(payload(), "{", `{"provider":"other",`, 1), header()), "twice"},
		"TwiceBelow":   {"one name once, at any depth", sign(t, by(key), payload("claims", `{"sub":"1","sub":"2"}`), header()), "twice"},
		"Case":         {"names are exact", sign(t, by(key), payload("provider", "", "Provider", text("corp")), header()), "more than"},
		"More":         {"what a later manager may restrict by", sign(t, by(key), payload("address", text("192.0.2.1")), header()), "upgrade"},
		"NoProof":      {"who shares it is found out by it", sign(t, by(key), payload("proof", ""), header()), "proof"},
		"ProofForm":    {"its form is bounded", sign(t, by(key), payload("proof", text("x")), header()), "proof"},
		"NoProvider":   {"claims mean what a provider says", sign(t, by(key), payload("provider", ""), header()), "provider"},
		"ListOfClaims": {"claims are an object", sign(t, by(key), payload("claims", `["sub"]`), header()), "no object"},
		"NullClaims":   {"null is no object", sign(t, by(key), payload("claims", `null`), header()), "no object"},
		"Huge":         {"checked before anything is read", strings.Repeat("a", identity.MaxTokenBytes+1), "too large"},
		"Parts":        {"three parts", good + ".x", "not a token"},
		"LineEnd":      {"one spelling", parts[0] + ".\n" + parts[1] + "." + parts[2], "not a token"},
		"Tampered":     {"the payload is signed", parts[0] + "." + encode([]byte(payload("provider", text("other")))) + "." + parts[2], "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Token(test.token)
			if !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want a rejection that says %q: %v", test.reason, test.says, err)
			}
		})
	}
}

// leaf is a certificate as the manager makes it, before what a test changes.
func leaf(t *testing.T, change ...func(leaf, issuer *x509.Certificate)) (template, issuer *x509.Certificate) {
	t.Helper()
	encoded, err := json.Marshal(statement())
	if err != nil {
		t.Fatal(err)
	}
	template = &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: statement().IssuedAt, NotAfter: statement().ExpiresAt,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{{Id: gateway.StatementExtension, Value: encoded}},
	}
	issuer = &x509.Certificate{Subject: pkix.Name{CommonName: "doorward gateway credentials"}}
	for _, c := range change {
		c(template, issuer)
	}
	return template, issuer
}

// TestCertificateVerified: what the manager signs, a proxy reads; what others sign is no
// credential, and what the manager signed for something else is a bad one.
func TestCertificateVerified(t *testing.T) {
	key, other, own := newKey(t, elliptic.P256()), newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	kid, err := gateway.KeyID(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	keyID, _ := hex.DecodeString(kid)
	revoked := false
	v := verifierOf(t, func(string) (string, bool) { return "laptop lost", revoked }, key)
	create := func(by *ecdsa.PrivateKey, change ...func(leaf, issuer *x509.Certificate)) []byte {
		template, issuer := leaf(t, append([]func(leaf, issuer *x509.Certificate){func(_, issuer *x509.Certificate) { issuer.SubjectKeyId = keyID[:20] }}, change...)...)
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, &own.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	good := create(key)
	got, err := v.Certificate(good)
	if err != nil || got.ID != id || got.Provider != "corp" || got.KeyID != kid || !strings.Contains(string(got.Claims), `"exp":`) {
		t.Fatalf("Certificate = %+v, %v", got, err)
	}
	type change = func(leaf, issuer *x509.Certificate)
	extension := func(value string) change {
		return func(leaf, _ *x509.Certificate) {
			leaf.ExtraExtensions = []pkix.Extension{{Id: gateway.StatementExtension, Value: []byte(value)}}
		}
	}
	tampered := append([]byte(nil), good...)
	tampered[len(tampered)-1] ^= 1
	for name, test := range map[string]struct {
		reason string
		der    []byte
		is     error
		says   string
	}{
		"Foreign":   {"psql shows ~/.postgresql/postgresql.crt to every server", create(other, func(_, i *x509.Certificate) { i.SubjectKeyId = []byte("other") }), identity.ErrForeign, ""},
		"Pretended": {"it claims to be by our key", create(other), identity.ErrForeign, ""},
		"Tampered":  {"the signature is not ours any more", tampered, identity.ErrForeign, ""},
		"Garbage":   {"it is none", []byte("garbage"), identity.ErrForeign, ""},
		"Empty":     {"it is none", nil, identity.ErrForeign, ""},
		"Large":     {"checklist 4: not even read", make([]byte, gateway.MaxCertificateBytes+1), identity.ErrForeign, ""},
		"Authority": {"it could issue others", create(key, func(l, _ *x509.Certificate) { l.IsCA = true }), identity.ErrRejected, "authority"},
		"Server":    {"a serving certificate", create(key, func(l, _ *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), identity.ErrRejected, "clientAuth"},
		"Both":      {"for clients alone", create(key, func(l, _ *x509.Certificate) { l.ExtKeyUsage = append(l.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }), identity.ErrRejected, "clientAuth"},
		"Any":       {"no usage is every usage", create(key, func(l, _ *x509.Certificate) { l.ExtKeyUsage = nil }), identity.ErrRejected, "clientAuth"},
		"KeyUsage":  {"for signatures alone", create(key, func(l, _ *x509.Certificate) { l.KeyUsage |= x509.KeyUsageCertSign }), identity.ErrRejected, "digitalSignature"},
		"Critical": {"an extension that restricts and is not known", create(key, func(l, _ *x509.Certificate) {
			l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}), identity.ErrRejected, "critical"},
		"NoWord":   {"nothing says who it is", create(key, func(l, _ *x509.Certificate) { l.ExtraExtensions = nil }), identity.ErrRejected, "0 statements"},
		"NameOnly": {"a common name proves nobody", create(key, func(l, _ *x509.Certificate) { l.ExtraExtensions, l.Subject.CommonName = nil, "alice" }), identity.ErrRejected, "0 statements"},
		"Expired": {"it was good", create(key, func(l, _ *x509.Certificate) {
			l.NotBefore, l.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Second)
		}), identity.ErrRejected, "expired at"},
		"Early":      {"not good yet", create(key, func(l, _ *x509.Certificate) { l.NotBefore = time.Now().Add(5 * time.Minute) }), identity.ErrRejected, "not valid before"},
		"Long":       {"no key makes an eternal one", create(key, func(l, _ *x509.Certificate) { l.NotAfter = time.Now().Add(13 * time.Hour) }), identity.ErrRejected, "lifetime"},
		"NoJSON":     {"the statement is JSON", create(key, extension("x")), identity.ErrRejected, "not a token"},
		"TwoClaims":  {"one name once", create(key, extension(`{"id":"`+id+`","provider":"a","provider":"b","claims":{}}`)), identity.ErrRejected, "twice"},
		"More":       {"what a later manager may restrict by", create(key, extension(`{"id":"`+id+`","provider":"a","proof":"`+proof+`","claims":{},"address":"x"}`)), identity.ErrRejected, "upgrade"},
		"NoProvider": {"claims mean what a provider says", create(key, extension(`{"id":"`+id+`","proof":"`+proof+`","claims":{}}`)), identity.ErrRejected, "provider"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Certificate(test.der)
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want %v that says %q: %v", test.reason, test.is, test.says, err)
			}
			if test.is == identity.ErrForeign && errors.Is(err, identity.ErrRejected) { //nolint:errorlint // which of the two it is
				t.Errorf("%s: what others signed is no credential at all: %v", test.reason, err)
			}
		})
	}
	revoked = true
	if _, err := v.Certificate(good); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "was revoked: laptop lost") {
		t.Errorf("checklist 36: a revoked certificate: %v", err)
	}
	if _, err := verifierOf(t, never).Certificate(good); !errors.Is(err, identity.ErrForeign) {
		t.Errorf("where there are no keys, none is ours: %v", err)
	}
}

// TestParseKeys: keys come as PEM, and nothing else is taken for one.
func TestParseKeys(t *testing.T) {
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	one, two := derOf(t, newKey(t, elliptic.P256())), derOf(t, newKey(t, elliptic.P256()))
	p384 := derOf(t, newKey(t, elliptic.P384()))
	for name, test := range map[string]struct {
		reason, text string
		keys         int
		fails        bool
	}{
		"None":    {"no key, no credentials", "", 0, false},
		"Two":     {"one follows the other", block("PUBLIC KEY", one) + block("PUBLIC KEY", two) + "\n", 2, false},
		"Garbage": {"it is no PEM", "garbage", 0, true},
		"Behind":  {"half a key must not go unnoticed", block("PUBLIC KEY", one) + "-----BEGIN PUBLIC", 0, true},
		"Private": {"a private key does not belong there", block("EC PRIVATE KEY", one), 0, true},
		"Curve":   {"one algorithm", block("PUBLIC KEY", p384), 0, true},
		"Many":    {"a bound", strings.Repeat(block("PUBLIC KEY", one), gateway.MaxKeys+1), 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := gateway.ParseKeys([]byte(test.text))
			if len(keys) != test.keys || (err != nil) != test.fails {
				t.Errorf("%s: ParseKeys = %d keys, %v", test.reason, len(keys), err)
			}
		})
	}
}

// TestClosed: where no credential is good, each is told why, and not to get another, whether
// its key is still known or not. What is somebody else's stays so.
func TestClosed(t *testing.T) {
	const why = "the keys cannot be read: ask an admin"
	key := newKey(t, elliptic.P256())
	authority, err := gateway.NewAuthority(key)
	if err != nil {
		t.Fatal(err)
	}
	s := statement()
	token, err := authority.Token(s)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Certificate(s, &newKey(t, elliptic.P256()).PublicKey, "ann")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: s.IssuedAt.Add(time.Hour)}
	foreign, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][][]byte{"NoKeys": nil, "Keys": {derOf(t, key)}} {
		t.Run(name, func(t *testing.T) {
			v, err := gateway.NewVerifier(keys, why, func(string) (string, bool) { return why, true })
			if err != nil {
				t.Fatal(err)
			}
			_, ofToken := v.Token(token)
			_, ofCertificate := v.Certificate(certificate)
			for _, err := range []error{ofToken, ofCertificate} {
				if !errors.Is(err, identity.ErrRejected) || !strings.HasSuffix(err.Error(), ": "+why) || strings.Contains(err.Error(), "was revoked") {
					t.Errorf("refused with %v, want %q", err, why)
				}
			}
			for _, der := range [][]byte{foreign, []byte("garbage"), make([]byte, gateway.MaxCertificateBytes+1)} {
				if _, err := v.Certificate(der); !errors.Is(err, identity.ErrForeign) {
					t.Errorf("a certificate of somebody else's: %v", err)
				}
			}
		})
	}
}
