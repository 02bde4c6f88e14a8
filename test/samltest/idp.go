// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package samltest is a SAML 2.0 identity provider for tests. It makes good responses,
// and the parts of which bad ones are put together.
package samltest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Namespaces of what is made here.
const (
	Protocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	Assertion = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// IdP is an identity provider with one key.
type IdP struct { //nolint:staticcheck // SAML spells it so.
	EntityID    string
	SSOURL      string
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// New makes an IdP with a new key.
func New(entityID, ssoURL string) (*IdP, error) {
	key, certificate, err := NewKey(time.Now().Add(24 * time.Hour))
	if err != nil {
		return nil, err
	}
	return &IdP{EntityID: entityID, SSOURL: ssoURL, Key: key, Certificate: certificate}, nil
}

// NewKey makes an RSA key and its own certificate, good from a day ago.
func NewKey(until time.Time) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "saml"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return key, certificate, err
}

// Metadata is the IdP's metadata document.
func (i *IdP) Metadata() []byte {
	entity := etree.NewElement("md:EntityDescriptor")
	entity.CreateAttr("xmlns:md", "urn:oasis:names:tc:SAML:2.0:metadata")
	entity.CreateAttr("xmlns:ds", dsig.Namespace)
	entity.CreateAttr("entityID", i.EntityID)
	role := entity.CreateElement("md:IDPSSODescriptor")
	role.CreateAttr("protocolSupportEnumeration", Protocol)
	key := role.CreateElement("md:KeyDescriptor")
	key.CreateAttr("use", "signing")
	key.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
		SetText(base64.StdEncoding.EncodeToString(i.Certificate.Raw))
	for _, binding := range []string{"POST", "Redirect"} {
		sso := role.CreateElement("md:SingleSignOnService")
		sso.CreateAttr("Binding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"+binding)
		sso.CreateAttr("Location", i.SSOURL)
	}
	return write(entity)
}

// Login is what a response is about.
type Login struct {
	// RequestID is that of the AuthnRequest, ACSURL where the response goes, Audience the
	// service provider's entity ID.
	RequestID, ACSURL, Audience string
	// NameID is the user, of that format; none where it is empty.
	NameID, Format string
	// Attributes are by name.
	Attributes map[string][]string
	// Now is when the user has logged in; the assertion is good for five minutes from
	// then on.
	Now time.Time
}

// Assertion makes an assertion that is not signed.
func (i *IdP) Assertion(l *Login) *etree.Element {
	begin, end := stamp(l.Now), stamp(l.Now.Add(5*time.Minute))
	a := etree.NewElement("saml:Assertion")
	a.CreateAttr("xmlns:saml", Assertion)
	a.CreateAttr("ID", newID())
	a.CreateAttr("Version", "2.0")
	a.CreateAttr("IssueInstant", begin)
	a.CreateElement("saml:Issuer").SetText(i.EntityID)
	subject := a.CreateElement("saml:Subject")
	name := subject.CreateElement("saml:NameID")
	name.SetText(l.NameID)
	if l.Format != "" {
		name.CreateAttr("Format", l.Format)
	}
	confirmation := subject.CreateElement("saml:SubjectConfirmation")
	confirmation.CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	data := confirmation.CreateElement("saml:SubjectConfirmationData")
	data.CreateAttr("InResponseTo", l.RequestID)
	data.CreateAttr("NotOnOrAfter", end)
	data.CreateAttr("Recipient", l.ACSURL)
	conditions := a.CreateElement("saml:Conditions")
	conditions.CreateAttr("NotBefore", begin)
	conditions.CreateAttr("NotOnOrAfter", end)
	conditions.CreateElement("saml:AudienceRestriction").CreateElement("saml:Audience").SetText(l.Audience)
	statement := a.CreateElement("saml:AuthnStatement")
	statement.CreateAttr("AuthnInstant", begin)
	statement.CreateAttr("SessionIndex", newID())
	statement.CreateElement("saml:AuthnContext").CreateElement("saml:AuthnContextClassRef").
		SetText("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")
	if len(l.Attributes) == 0 {
		return a
	}
	attributes := a.CreateElement("saml:AttributeStatement")
	names := make([]string, 0, len(l.Attributes))
	for name := range l.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		attribute := attributes.CreateElement("saml:Attribute")
		attribute.CreateAttr("Name", name)
		for _, value := range l.Attributes[name] {
			attribute.CreateElement("saml:AttributeValue").SetText(value)
		}
	}
	return a
}

// Response makes a response that is not signed, with assertions in it.
func (i *IdP) Response(l *Login, assertions ...*etree.Element) *etree.Element {
	r := etree.NewElement("samlp:Response")
	r.CreateAttr("xmlns:samlp", Protocol)
	r.CreateAttr("xmlns:saml", Assertion)
	r.CreateAttr("ID", newID())
	r.CreateAttr("Version", "2.0")
	r.CreateAttr("IssueInstant", stamp(l.Now))
	r.CreateAttr("Destination", l.ACSURL)
	r.CreateAttr("InResponseTo", l.RequestID)
	r.CreateElement("saml:Issuer").SetText(i.EntityID)
	r.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Success")
	for _, assertion := range assertions {
		r.AddChild(assertion)
	}
	return r
}

// Post makes the SAMLResponse field of a good response whose assertion is signed.
func (i *IdP) Post(l *Login) (string, error) {
	signed, err := i.Sign(i.Assertion(l))
	if err != nil {
		return "", err
	}
	return Encode(i.Response(l, signed)), nil
}

// Encode makes the SAMLResponse field of a response.
func Encode(response *etree.Element) string {
	return base64.StdEncoding.EncodeToString(write(response))
}

// newID makes an ID that nobody can guess.
func newID() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return "_" + hex.EncodeToString(random)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// write is an element as a document of its own.
func write(element *etree.Element) []byte {
	document := etree.NewDocument()
	document.SetRoot(element.Copy())
	raw, err := document.WriteToBytes()
	if err != nil {
		panic(err) //nolint:forbidigo // A bytes.Buffer takes everything.
	}
	return raw
}
