// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/doorward/doorward/proxy/identity/saml"
)

// TestRedirect: the query is signed as it is sent (saml-bindings-2.0-os section 3.4.4.1).
func TestRedirect(t *testing.T) {
	now := time.Now()
	for name, relayState := range map[string]string{"WithRelayState": "a b&c=d/+", "Without": ""} {
		t.Run(name, func(t *testing.T) {
			request, err := newProvider(t, func(c *saml.Config) { c.NameIDFormat = persistent }).AuthnRequest(requestID, relayState, now)
			if err != nil || request.Form != nil {
				t.Fatalf("%+v, %v", request, err)
			}
			_, query, _ := strings.Cut(request.URL, "?")
			signed, encoded, found := strings.Cut(query, "&Signature=")
			if !found || !strings.HasPrefix(request.URL, "https://idp.example/sso?SAMLRequest=") {
				t.Fatalf("no signature at the end: %s", request.URL)
			}
			unescaped, err := url.QueryUnescape(encoded)
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256([]byte(signed))
			if err := rsa.VerifyPKCS1v15(&keys().key.PublicKey, crypto.SHA256, digest[:], []byte(decodeText(t, unescaped))); err != nil {
				t.Errorf("the signature does not hold: %v", err)
			}
			fields, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			if fields.Get("RelayState") != relayState || fields.Has("RelayState") != (relayState != "") || fields.Get("SigAlg") != dsig.RSASHA256SignatureMethod {
				t.Errorf("%v", fields)
			}
			raw, err := io.ReadAll(flate.NewReader(strings.NewReader(decodeText(t, fields.Get("SAMLRequest")))))
			if err != nil {
				t.Fatal(err)
			}
			checkRequest(t, raw, now)
		})
	}
}

func checkRequest(t *testing.T, raw []byte, now time.Time) *etree.Element {
	t.Helper()
	document := etree.NewDocument()
	if err := document.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	root := document.Root()
	for key, want := range map[string]string{
		"ID": requestID, "Version": "2.0", "Destination": "https://idp.example/sso", "AssertionConsumerServiceURL": acsURL,
		"ForceAuthn": "", "IssueInstant": now.UTC().Format("2006-01-02T15:04:05Z"),
		"ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
	} {
		if got := root.SelectAttrValue(key, ""); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if text := at(root, "Issuer").Text(); text != entityID {
		t.Errorf("Issuer: %q", text)
	}
	if format := at(root, "NameIDPolicy").SelectAttrValue("Format", ""); format != persistent {
		t.Errorf("NameIDPolicy: %q", format)
	}
	if root.FindElement("RequestedAuthnContext") != nil {
		t.Error("it asks for a way to log in")
	}
	return root
}

// TestPost: where the metadata has the HTTP-POST binding alone, the request itself is
// signed.
func TestPost(t *testing.T) {
	now := time.Now()
	metadata := strings.Replace(string(keys().idp.Metadata()), "HTTP-Redirect", "SOAP", 1)
	sp := newProvider(t, func(c *saml.Config) { c.Metadata, c.NameIDFormat = []byte(metadata), persistent })
	request, err := sp.AuthnRequest(requestID, "state", now)
	if err != nil {
		t.Fatal(err)
	}
	if request.URL != "https://idp.example/sso" || request.Form.Get("RelayState") != "state" {
		t.Errorf("%+v", request)
	}
	root := checkRequest(t, []byte(decodeText(t, request.Form.Get("SAMLRequest"))), now)
	context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{keys().own}})
	if _, err := context.Validate(root); err != nil {
		t.Errorf("the signature does not hold: %v", err)
	}
}

func TestRequestRefused(t *testing.T) {
	for name, test := range map[string]struct{ reason, id, relayState string }{
		"NoID":       {"the answer could not be told", "", ""},
		"Guessable":  {"somebody else's could be answered", "_1", ""},
		"NoNCName":   {"an ID is a name of XML", "0123456789abcdef0123456789abcdef", ""},
		"Markup":     {"nor has it markup", `_0123456789abcdef"><x>`, ""},
		"RelayState": {"identity providers refuse more", requestID, strings.Repeat("x", 81)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newProvider(t).AuthnRequest(test.id, test.relayState, time.Now()); err == nil {
				t.Error(test.reason)
			}
		})
	}
}

// TestOwnMetadata: what the identity provider's administrator gets names our places, and
// our certificate for both uses.
func TestOwnMetadata(t *testing.T) {
	raw := newProvider(t, func(c *saml.Config) { c.NameIDFormat = persistent }).Metadata()
	document := etree.NewDocument()
	if err := document.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	role := at(document.Root(), "SPSSODescriptor")
	if document.Root().SelectAttrValue("entityID", "") != entityID ||
		role.SelectAttrValue("AuthnRequestsSigned", "") != "true" || role.SelectAttrValue("WantAssertionsSigned", "") != "true" {
		t.Errorf("%s", raw)
	}
	service := at(role, "AssertionConsumerService")
	if service.SelectAttrValue("Location", "") != acsURL || !strings.HasSuffix(service.SelectAttrValue("Binding", ""), "HTTP-POST") {
		t.Errorf("%s", raw)
	}
	uses := map[string]bool{}
	for _, key := range role.FindElements("KeyDescriptor") {
		uses[key.SelectAttrValue("use", "")] = at(key, ".//X509Certificate").Text() == base64.StdEncoding.EncodeToString(keys().own.Raw)
	}
	if len(uses) != 2 || !uses["signing"] || !uses["encryption"] {
		t.Errorf("keys: %v", uses)
	}
	if bytes.Contains(raw, []byte("cbc")) || bytes.Contains(raw, []byte("rsa-1_5")) {
		t.Error("it asks for what is not taken everywhere")
	}
}
