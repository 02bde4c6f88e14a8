// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

// payloadOf are the claims of a good token as bytes.
func payloadOf(t *testing.T, server *oidctest.Server) []byte {
	t.Helper()
	payload, err := json.Marshal(alice("iss", server.URL(), "exp", time.Now().Add(time.Hour).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// TestSignatureRefused (checklist 28): everything but a signature by a
// published key with an accepted algorithm.
func TestSignatureRefused(t *testing.T) {
	server := startIssuer(t)
	payload := payloadOf(t, server)
	good := tokenOf(t, server, alice())
	signing := server.SigningKey()
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(signing.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	encode := base64.RawURLEncoding.EncodeToString
	forge := func(key jose.SigningKey, header map[string]any) string {
		token, err := oidctest.Sign(key, payload, header)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	header, _, _ := strings.Cut(good, ".")
	_, signature, _ := strings.Cut(good[len(header)+1:], ".")
	evil, err := json.Marshal(alice("iss", server.URL(), "exp", time.Now().Add(time.Hour).Unix(), "preferred_username", "root"))
	if err != nil {
		t.Fatal(err)
	}
	typed := func(kind string) string {
		token, err := server.TokenWithHeader(alice(), map[string]any{"typ": kind})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	other := jose.SigningKey{Algorithm: jose.ES256, Key: foreign}

	cases := map[string]struct{ reason, token string }{
		"Empty":         {"no token", ""},
		"Garbage":       {"no token at all", "not.a.token"},
		"None":          {"alg none with an empty signature", encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "."},
		"NoneCase":      {"alg nOnE", encode([]byte(`{"alg":"nOnE"}`)) + "." + encode(payload) + "."},
		"HS256PEM":      {"HS256 with the public key as the secret", forge(jose.SigningKey{Algorithm: jose.HS256, Key: publicPEM}, map[string]any{"kid": signing.KeyID})},
		"HS256DER":      {"HS256 with the public key's bytes as the secret", forge(jose.SigningKey{Algorithm: jose.HS256, Key: public}, map[string]any{"kid": signing.KeyID})},
		"ForeignKey":    {"another key under the published key's id", forge(other, map[string]any{"kid": signing.KeyID})},
		"ForeignNoID":   {"another key without an id", forge(other, nil)},
		"EmbeddedKey":   {"a key that the token brings along", forge(other, map[string]any{"kid": signing.KeyID, "jwk": jose.JSONWebKey{Key: foreign.Public(), KeyID: signing.KeyID}})},
		"PointedAtKey":  {"a key that the token points to", forge(other, map[string]any{"kid": "x", "jku": "https://evil.example.com/keys", "x5u": "https://evil.example.com/c"})},
		"KidPath":       {"a key id that is a path", forge(other, map[string]any{"kid": "../../../dev/null"})},
		"KidQuery":      {"a key id that is a query", forge(other, map[string]any{"kid": "x' OR '1'='1"})},
		"KidURL":        {"a key id that is an address", forge(other, map[string]any{"kid": server.URL() + "/evil"})},
		"KidSQL":        {"a key id that is a statement", forge(other, map[string]any{"kid": "x' UNION SELECT 'key"})},
		"KidList":       {"a key id that is no text", forge(other, map[string]any{"kid": []string{signing.KeyID}})},
		"AlgCase":       {"an algorithm in another spelling", encode([]byte(`{"alg":"es256","kid":"`+signing.KeyID+`"}`)) + "." + encode(payload) + "." + signature},
		"NoAlg":         {"no algorithm", encode([]byte(`{"kid":"`+signing.KeyID+`"}`)) + "." + encode(payload) + "." + signature},
		"AlgTwice":      {"two algorithms", encode([]byte(`{"alg":"ES256","alg":"none","kid":"`+signing.KeyID+`"}`)) + "." + encode(payload) + "." + signature},
		"AlgOfOtherKey": {"RS256 by a key that is of another kind", encode([]byte(`{"alg":"RS256","kid":"`+signing.KeyID+`"}`)) + "." + encode(payload) + "." + signature},
		"ZeroSignature": {"r and s of zero (CVE-2022-21449)", header + "." + encode(payload) + "." + encode(make([]byte, 64))},
		"DERSignature":  {"a signature in the form of X.509", header + "." + encode(payload) + "." + derSignature(t, signing.Key, header+"."+encode(payload))},
		"Chain":         {"a certificate that the token brings along", forge(other, map[string]any{"kid": signing.KeyID, "x5c": []string{base64.StdEncoding.EncodeToString(public)}})},
		"Unencoded":     {"a payload that is not encoded (RFC 7797)", forge(jose.SigningKey{Algorithm: jose.ES256, Key: signing.Key}, map[string]any{"kid": signing.KeyID, "b64": false, "crit": []string{"b64"}})},
		"OtherPayload":  {"a good signature over another payload", header + "." + encode(evil) + "." + signature},
		"NoSignature":   {"the signature is missing", header + "." + encode(payload) + "."},
		"ShortSig":      {"the signature is cut", good[:len(good)-8]},
		"TwoParts":      {"a part is missing", header + "." + encode(payload)},
		"FourParts":     {"a part too many", good + ".x"},
		"JSONForm":      {"the JSON serialization of a JWS", `{"payload":"` + encode(payload) + `","protected":"` + header + `","signature":"` + signature + `"}`},
		"Critical":      {"a critical header that is not understood", forge(jose.SigningKey{Algorithm: jose.ES256, Key: signing.Key}, map[string]any{"kid": signing.KeyID, "crit": []string{"exp"}, "exp": 1})},
		"LogoutType":    {"checklist 29: a logout token by its header", typed("logout+jwt")},
		"ProofType":     {"checklist 29: a proof of possession", typed("dpop+jwt")},
		"OtherAlg":      {"an asymmetric algorithm that is not on the list", forgeES384(t, payload)},
		"Space":         {"a space is not part of a token", " " + good},
		"Newline":       {"nor is a line end", good + "\n"},
		"PaddedPayload": {"base64 padding is not part of a token", header + "." + encode(payload) + "=." + signature},
	}
	v, _ := verifierOf(t, configOf(server))
	if _, err := verify(t, v, good); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := verify(t, v, tc.token)
			if !errors.Is(err, identity.ErrRejected) {
				t.Errorf("checklist 28: %s: got %+v, %v, want a rejection", tc.reason, got, err)
			}
		})
	}
}

// derSignature signs well, in the form that JWS does not have (RFC 7518 section 3.4).
func derSignature(t *testing.T, key any, text string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	signature, err := key.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(signature)
}

func forgeES384(t *testing.T, payload []byte) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token, err := oidctest.Sign(jose.SigningKey{Algorithm: jose.ES384, Key: key}, payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestOversized (checklist 28): a huge token is refused before it is read.
func TestOversized(t *testing.T) {
	server := startIssuer(t)
	v, _ := verifierOf(t, configOf(server))
	huge := tokenOf(t, server, alice("padding", strings.Repeat("x", identity.MaxTokenBytes)))
	if _, err := verify(t, v, huge); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("Verify = %v, want a rejection for its size", err)
	}
	dots := strings.Repeat(".", identity.MaxTokenBytes*4)
	if _, err := verify(t, v, dots); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("Verify = %v, want a rejection for its size", err)
	}
	if n := server.Requests(oidctest.KeysPath); n != 0 {
		t.Errorf("%d requests for keys, want none for a token that cannot be one", n)
	}
}

func TestRS256(t *testing.T) {
	server := startIssuer(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Rotate(key, false); err != nil {
		t.Fatal(err)
	}
	v, _ := verifierOf(t, configOf(server))
	if _, err := verify(t, v, tokenOf(t, server, alice())); err != nil {
		t.Errorf("Verify = %v, want RS256 among the defaults", err)
	}
	config := configOf(server)
	config.Algorithms = []string{"ES256"}
	only, _ := verifierOf(t, config)
	if _, err := verify(t, only, tokenOf(t, server, alice())); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v, want RS256 refused where only ES256 is listed", err)
	}
}

func TestParseKeys(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...any) []byte {
		body, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	published := jose.JSONWebKey{Key: good.Public(), KeyID: "good"}
	unusable := map[string]any{
		"symmetric":  jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "s"},
		"private":    jose.JSONWebKey{Key: good, KeyID: "p"},
		"encryption": jose.JSONWebKey{Key: good.Public(), KeyID: "e", Use: "enc"},
		"weak":       jose.JSONWebKey{Key: weak.Public(), KeyID: "w"},
		"unknown":    map[string]any{"kty": "LATTICE", "kid": "u"},
	}
	for name, key := range unusable {
		if got, err := parseKeys(set(key)); err == nil {
			t.Errorf("a set of one %s key: got %d keys, want an error", name, len(got))
		}
		if got, err := parseKeys(set(key, published)); err != nil || len(got) != 1 || got[0].KeyID != "good" {
			t.Errorf("a set with a %s key: got %v, %v, want the usable one alone", name, got, err)
		}
	}
	many := make([]any, maxKeys+1)
	for i := range many {
		many[i] = published
	}
	for name, body := range map[string][]byte{"empty": set(), "many": set(many...), "text": []byte("<html>"), "list": []byte("[]")} {
		if _, err := parseKeys(body); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
