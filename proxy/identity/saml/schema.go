// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/doorward/doorward/proxy/identity"
)

// Namespaces of what else is in a response.
const (
	dsigNamespace   = "http://www.w3.org/2000/09/xmldsig#"
	excNamespace    = "http://www.w3.org/2001/10/xml-exc-c14n#"
	xencNamespace   = "http://www.w3.org/2001/04/xmlenc#"
	xenc11Namespace = "http://www.w3.org/2009/xmlenc11#"
)

// name is an element's with its namespace.
type name struct{ space, local string }

func protocol(local string) name  { return name{protocolNamespace, local} }
func assertion(local string) name { return name{assertionNamespace, local} }
func dsig(local string) name      { return name{dsigNamespace, local} }
func xenc(local string) name      { return name{xencNamespace, local} }

func nameOf(element *etree.Element) name { return name{element.NamespaceURI(), element.Tag} }

// shape is what an element may hold: the profile's elements and no others, each as often
// as it may be there. Where a second assertion, or a signature of something else, could
// be hidden, there is no place for it.
type shape struct {
	// attributes are the names without prefix, separated by spaces.
	attributes string
	// foreign admits attributes with a prefix, which nobody reads.
	foreign bool
	// text admits text; else there is white space only.
	text bool
	// children are the elements.
	children []part
}

// part is an element that may be in another.
type part struct {
	name
	min, max int
	shape
}

// many is a bound for what is bounded by the number of elements.
const many = maxElements

// The parts of a signature (xmldsig-core1), enveloped, with one reference. There is no
// Object, and thus nothing signed but the element that the signature is in.
var (
	certificates = part{dsig("X509Data"), 0, 1, shape{children: []part{
		{dsig("X509Certificate"), 0, 4, shape{text: true}},
		{dsig("X509SubjectName"), 0, 1, shape{text: true}},
		{dsig("X509SKI"), 0, 1, shape{text: true}},
		{dsig("X509IssuerSerial"), 0, 1, shape{children: []part{
			{dsig("X509IssuerName"), 1, 1, shape{text: true}}, {dsig("X509SerialNumber"), 1, 1, shape{text: true}},
		}}},
	}}}
	rsaKey = part{dsig("KeyValue"), 0, 1, shape{children: []part{
		{dsig("RSAKeyValue"), 1, 1, shape{children: []part{
			{dsig("Modulus"), 1, 1, shape{text: true}}, {dsig("Exponent"), 1, 1, shape{text: true}},
		}}},
	}}}
	keyName    = part{dsig("KeyName"), 0, 1, shape{text: true}}
	inclusive  = part{name{excNamespace, "InclusiveNamespaces"}, 0, 1, shape{attributes: "PrefixList"}}
	digest     = part{dsig("DigestMethod"), 1, 1, shape{attributes: "Algorithm"}}
	signedInfo = part{dsig("SignedInfo"), 1, 1, shape{attributes: "Id", children: []part{
		{dsig("CanonicalizationMethod"), 1, 1, shape{attributes: "Algorithm", children: []part{inclusive}}},
		{dsig("SignatureMethod"), 1, 1, shape{attributes: "Algorithm"}},
		{dsig("Reference"), 1, 1, shape{attributes: "URI", children: []part{
			{dsig("Transforms"), 1, 1, shape{children: []part{{dsig("Transform"), 2, 2, shape{attributes: "Algorithm", children: []part{inclusive}}}}}},
			digest,
			{dsig("DigestValue"), 1, 1, shape{text: true}},
		}}},
	}}}
	signature = part{dsig("Signature"), 0, 1, shape{attributes: "Id", children: []part{
		signedInfo,
		{dsig("SignatureValue"), 1, 1, shape{attributes: "Id", text: true}},
		{dsig("KeyInfo"), 0, 1, shape{attributes: "Id", children: []part{certificates, rsaKey, keyName}}},
	}}}
)

// The parts of what is encrypted (xmlenc-core1): its key is in it or beside it.
var (
	cipherData   = part{xenc("CipherData"), 1, 1, shape{children: []part{{xenc("CipherValue"), 1, 1, shape{text: true}}}}}
	encryptedKey = part{xenc("EncryptedKey"), 0, 1, shape{attributes: "Id Recipient", children: []part{
		{xenc("EncryptionMethod"), 1, 1, shape{attributes: "Algorithm", children: []part{
			{dsig("DigestMethod"), 0, 1, shape{attributes: "Algorithm"}},
			{name{xenc11Namespace, "MGF"}, 0, 1, shape{attributes: "Algorithm"}},
		}}},
		{dsig("KeyInfo"), 0, 1, shape{attributes: "Id", children: []part{certificates, rsaKey, keyName}}},
		cipherData,
		{xenc("ReferenceList"), 0, 1, shape{children: []part{{xenc("DataReference"), 1, 1, shape{attributes: "URI"}}}}},
	}}}
	encryptedAssertion = part{assertion("EncryptedAssertion"), 0, 1, shape{children: []part{
		{xenc("EncryptedData"), 1, 1, shape{attributes: "Id Type", children: []part{
			{xenc("EncryptionMethod"), 1, 1, shape{attributes: "Algorithm", children: []part{{xenc("KeySize"), 0, 1, shape{text: true}}}}},
			{dsig("KeyInfo"), 0, 1, shape{attributes: "Id", children: []part{
				encryptedKey, {dsig("RetrievalMethod"), 0, 1, shape{attributes: "Type URI"}}, keyName,
			}}},
			cipherData,
		}}},
		encryptedKey,
	}}}
)

// The parts of an assertion (saml-core-2.0-os section 2), as the profile for browsers has
// it (saml-profiles-2.0-os section 4.1.4.2).
var (
	issuer  = part{assertion("Issuer"), 1, 1, shape{attributes: "Format NameQualifier SPNameQualifier", text: true}}
	subject = part{assertion("Subject"), 1, 1, shape{children: []part{
		{assertion("NameID"), 1, 1, shape{attributes: "Format NameQualifier SPNameQualifier", text: true}},
		{assertion("SubjectConfirmation"), 1, 1, shape{attributes: "Method", children: []part{
			{assertion("SubjectConfirmationData"), 1, 1, shape{attributes: "NotOnOrAfter Recipient InResponseTo Address"}},
		}}},
	}}}
	audiences  = []part{{assertion("Audience"), 1, 1, shape{text: true}}}
	conditions = part{assertion("Conditions"), 1, 1, shape{attributes: "NotBefore NotOnOrAfter", children: []part{
		{assertion("AudienceRestriction"), 1, 1, shape{children: audiences}},
		{assertion("OneTimeUse"), 0, 1, shape{}},
		{assertion("ProxyRestriction"), 0, 1, shape{attributes: "Count", children: []part{{assertion("Audience"), 0, many, shape{text: true}}}}},
	}}}
	authnStatement = part{assertion("AuthnStatement"), 1, 1, shape{attributes: "AuthnInstant SessionIndex SessionNotOnOrAfter", children: []part{
		{assertion("SubjectLocality"), 0, 1, shape{attributes: "Address DNSName"}},
		{assertion("AuthnContext"), 1, 1, shape{children: []part{
			{assertion("AuthnContextClassRef"), 0, 1, shape{text: true}},
			{assertion("AuthnContextDeclRef"), 0, 1, shape{text: true}},
			{assertion("AuthenticatingAuthority"), 0, many, shape{text: true}},
		}}},
	}}}
	attributeStatement = part{assertion("AttributeStatement"), 0, 1, shape{children: []part{
		{assertion("Attribute"), 0, many, shape{attributes: "Name NameFormat FriendlyName", foreign: true, children: []part{
			{assertion("AttributeValue"), 0, many, shape{foreign: true, text: true}},
		}}},
	}}}
	assertionShape = shape{attributes: "ID Version IssueInstant", children: []part{
		issuer, signature, subject, conditions, authnStatement, attributeStatement,
	}}
)

// responseShape is a response of success (saml-core-2.0-os section 3.3.3).
var responseShape = shape{attributes: "ID Version IssueInstant Destination Consent InResponseTo", children: []part{
	issuer, signature,
	{protocol("Status"), 1, 1, shape{children: []part{
		{protocol("StatusCode"), 1, 1, shape{attributes: "Value"}},
		{protocol("StatusMessage"), 0, 1, shape{text: true}},
	}}},
	{assertion("Assertion"), 0, 1, assertionShape},
	encryptedAssertion,
}}

// check says whether an element, and all that is in it, is of a shape.
func (s *shape) check(element *etree.Element) error {
	for _, attr := range element.Attr {
		if err := s.admits(element, attr); err != nil {
			return err
		}
	}
	counts := make([]int, len(s.children))
	for _, token := range element.Child {
		switch token := token.(type) {
		case *etree.CharData:
			if !s.text && strings.TrimSpace(token.Data) != "" {
				return fmt.Errorf("there is text in <%s>, where none belongs", element.Tag)
			}
		case *etree.Element:
			i := s.place(nameOf(token))
			if i < 0 {
				return fmt.Errorf("<%s> does not belong into <%s>", identity.Shorten(token.FullTag()), element.Tag)
			}
			counts[i]++
			if err := s.children[i].shape.check(token); err != nil {
				return err
			}
		default:
			return fmt.Errorf("there is something else than elements and text in <%s>", element.Tag)
		}
	}
	for i, child := range s.children {
		if counts[i] < child.min || counts[i] > child.max {
			return fmt.Errorf("<%s> is %d times in <%s>: want %d to %d", child.local, counts[i], element.Tag, child.min, child.max)
		}
	}
	return nil
}

func (s *shape) place(of name) int {
	for i := range s.children {
		if s.children[i].name == of {
			return i
		}
	}
	return -1
}

// admits says whether an attribute may be there. One with a prefix never has the name of
// one that is read: not every reader tells the two apart.
func (s *shape) admits(element *etree.Element, attr etree.Attr) error {
	known := strings.Fields(s.attributes)
	switch {
	case attr.Space == "xmlns", attr.Space == "" && attr.Key == "xmlns":
		return nil
	case attr.Space == "" && slices.Contains(known, attr.Key):
		return nil
	case attr.Space != "" && s.foreign && !slices.Contains(known, attr.Key) && !strings.EqualFold(attr.Key, "id"):
		return nil
	}
	return fmt.Errorf("attribute %q does not belong into <%s>", identity.Shorten(attr.FullKey()), element.Tag)
}
