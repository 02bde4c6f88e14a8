// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/samltest"
)

func newFuzzed() (*saml.ServiceProvider, error) { return saml.New(config()) }

// weak is a certificate of a key that is too short.
func weak(t *testing.T) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// TestMetadataRefused: the metadata is read as strictly as what it vouches for.
func TestMetadataRefused(t *testing.T) {
	good := string(keys().idp.Metadata())
	certificate := base64.StdEncoding.EncodeToString(keys().idp.Certificate.Raw)
	replace := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("no %q", from)
		}
		return strings.ReplaceAll(good, from, to)
	}
	for name, test := range map[string]struct{ reason, document, says string }{
		"OtherEntity":    {"of another identity provider", replace(idpID, "https://other.example"), "another identity provider"},
		"Doctype":        {"entities do not belong there", "<!DOCTYPE x>" + good, "DOCTYPE"},
		"Many":           {"of a federation, in which everybody is", `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + good + `</md:EntitiesDescriptor>`, "one EntityDescriptor"},
		"TwoRoots":       {"which counts?", good + good, "one root"},
		"OtherNamespace": {"no metadata", replace("urn:oasis:names:tc:SAML:2.0:metadata", "urn:x"), "one EntityDescriptor"},
		"NoRole":         {"no identity provider", replace("IDPSSODescriptor", "SPSSODescriptor"), "one IDPSSODescriptor"},
		"TwoRoles":       {"which counts?", strings.Replace(good, "</md:EntityDescriptor>", between(good, "entityID=\""+idpID+"\">", "</md:EntityDescriptor>")+"</md:EntityDescriptor>", 1), "2 IDPSSODescriptors"},
		"OtherProtocol":  {"SAML 1.1", replace(samltest.Protocol, "urn:oasis:names:tc:SAML:1.1:protocol"), "supports"},
		"NoKey":          {"nothing could be verified", replace(`use="signing"`, `use="encryption"`), "signing certificates"},
		"NoCertificate":  {"as above", replace(certificate, "AAAA"), "no X.509 certificate"},
		"NoBase64":       {"as above", replace(certificate, "%%%"), "no base64"},
		"WeakKey":        {"whoever has a week makes assertions", replace(certificate, weak(t)), "1024 bits"},
		"NoService":      {"nowhere to send the user", replace("bindings:HTTP-", "bindings:X-"), "SingleSignOnService"},
		"HTTP":           {"in the clear", replace("https://idp.example/sso", "http://idp.example/sso"), "https://"},
		"Script":         {"a place that is none", replace("https://idp.example/sso", "javascript:alert(1)"), "https://"},
		"TwiceAttribute": {"which counts?", strings.Replace(good, "entityID=", `entityID="x" entityID=`, 1), "attribute twice"},
		"ValidUntil":     {"no instant", strings.Replace(good, "entityID=", `validUntil="soon" entityID=`, 1), "validUntil"},
		"Large":          {"bounded", good + strings.Repeat(" ", 64<<10), "too large"},
		"Empty":          {"nothing", "", "one EntityDescriptor"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := saml.ParseMetadata([]byte(test.document), idpID)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want %q: %v", test.reason, test.says, err)
			}
		})
	}
	commented := strings.Replace(good, "<md:IDPSSODescriptor", "<!-- ours --><md:IDPSSODescriptor", 1)
	if _, err := saml.ParseMetadata([]byte(commented), idpID); err != nil {
		t.Errorf("people comment their metadata: %v", err)
	}
}

// TestMetadataEnds: metadata is used until it ends, by itself or with its last
// certificate.
func TestMetadataEnds(t *testing.T) {
	l := login()
	idp := keys().idp
	end := l.Now.Add(time.Minute)
	ending := strings.Replace(string(idp.Metadata()), "entityID=", `validUntil="`+end.UTC().Format(time.RFC3339)+`" entityID=`, 1)
	sp := newProvider(t, func(c *saml.Config) { c.Metadata = []byte(ending) })
	encoded, err := idp.Post(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sp.Response(encoded, requestID, end.Add(-time.Second)); err != nil {
		t.Errorf("before its end: %v", err)
	}
	refused(t, sp, encoded, end, "after its end", "fetch it again")

	for document, want := range map[string]time.Time{ending: end, string(idp.Metadata()): idp.Certificate.NotAfter} {
		parsed, err := saml.ParseMetadata([]byte(document), idpID)
		if err != nil || !parsed.UsableUntil().Equal(want) {
			t.Errorf("%v, %v, want %s", parsed, err, want)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for name, test := range map[string]struct {
		reason string
		change func(*saml.Config)
		says   string
	}{
		"NoEntityID":       {"an audience is needed", func(c *saml.Config) { c.EntityID = "" }, "entity IDs"},
		"SameEntityID":     {"who is who?", func(c *saml.Config) { c.EntityID = idpID }, "entity IDs"},
		"HTTP":             {"assertions in the clear", func(c *saml.Config) { c.ACSURL = "http://login.shop.example/acs" }, "https://"},
		"Skew":             {"bounded", func(c *saml.Config) { c.ClockSkew = 6 * time.Minute }, "clock skew"},
		"NoKey":            {"nothing to sign with", func(c *saml.Config) { c.Key = nil }, "RSA key"},
		"OtherCertificate": {"of another key", func(c *saml.Config) { c.Certificate = keys().otherCert }, "another key"},
		"Metadata":         {"as strict as ParseMetadata", func(c *saml.Config) { c.IdPEntityID = "https://other.example" }, "another identity provider"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			test.change(&c)
			if _, err := saml.New(c); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: want %q: %v", test.reason, test.says, err)
			}
		})
	}
}
