// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/samltest"
)

const (
	transformPath = "Signature/SignedInfo/Reference/Transforms"
	hmacSHA256    = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
)

// TestSignatureRefused (checklist 27): what the signature is of, by whom and how.
func TestSignatureRefused(t *testing.T) {
	idp, foreign := keys().idp, keys().foreign
	signedBy := func(changes ...func(*dsig.SigningContext)) func(*etree.Element) *etree.Element {
		return func(a *etree.Element) *etree.Element {
			signed, err := idp.Sign(a, changes...)
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
	}
	// after changes what was signed well.
	after := func(change func(a *etree.Element)) func(*etree.Element) *etree.Element {
		return func(a *etree.Element) *etree.Element {
			signed := sign(t, idp, a)
			change(signed)
			return signed
		}
	}
	cases := map[string]struct {
		reason string
		sign   func(a *etree.Element) *etree.Element
		says   string
	}{
		"None":    {"nobody says so", func(a *etree.Element) *etree.Element { return a }, "neither it nor its assertion is signed"},
		"Foreign": {"a key in KeyInfo that is not in the metadata", func(a *etree.Element) *etree.Element { return sign(t, foreign, a) }, "not by a valid certificate"},
		"ForeignKey": {"nor one that says it is another", func(a *etree.Element) *etree.Element {
			signed := sign(t, foreign, a)
			at(signed, "Signature/KeyInfo/X509Data/X509Certificate").SetText(base64.StdEncoding.EncodeToString(idp.Certificate.Raw))
			return signed
		}, "not by a valid certificate"},
		"ForeignSilent": {"nor one that says nothing", func(a *etree.Element) *etree.Element {
			signed := sign(t, foreign, a)
			at(signed, "Signature").RemoveChild(at(signed, "Signature/KeyInfo"))
			return signed
		}, "not by a valid certificate"},
		"Changed": {"changed since", after(func(a *etree.Element) { at(a, "Subject/NameID").SetText(evilName) }), "not by a valid certificate"},
		"AddedValue": {"added to since", after(func(a *etree.Element) {
			at(a, "AttributeStatement/Attribute").CreateElement("saml:AttributeValue").SetText("admins")
		}), "not by a valid certificate"},
		"SHA1":       {"a weak digest", signedBy(func(c *dsig.SigningContext) { c.Hash = crypto.SHA1 }), "algorithm of the signature is not accepted"},
		"SHA1Digest": {"a weak digest under a strong signature", after(set("Signature/SignedInfo/Reference/DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")), "digest algorithm"},
		"HMAC": {"a key that everybody knows", after(func(a *etree.Element) {
			set("Signature/SignedInfo/SignatureMethod", "Algorithm", hmacSHA256)(a)
			mac := hmac.New(sha256.New, idp.Certificate.RawSubjectPublicKeyInfo)
			at(a, "Signature/SignedInfo").CreateAttr("xmlns:ds", dsig.Namespace)
			canonical, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(at(a, "Signature/SignedInfo"))
			if err != nil {
				t.Fatal(err)
			}
			mac.Write(canonical)
			at(a, "Signature/SignatureValue").SetText(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		}), "signature algorithm"},
		"Inclusive": {"a canonicalization that depends on what is round it", signedBy(func(c *dsig.SigningContext) { c.Canonicalizer = dsig.MakeC14N11Canonicalizer() }), "canonicalization algorithm"},
		"WithComments": {"nor one that keeps comments", signedBy(func(c *dsig.SigningContext) {
			c.Canonicalizer = dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList("")
		}), "canonicalization algorithm"},
		"XPath":        {"a transform that leaves out what it likes", after(set(transformPath+"/Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")), "transforms"},
		"OneTransform": {"both are needed", after(func(a *etree.Element) { at(a, transformPath).RemoveChild(at(a, transformPath+"/Transform")) }), "<Transform> is 1 times"},
		"EmptyURI":     {"a reference to the whole document", signedBy(func(c *dsig.SigningContext) { c.IdAttribute = "none" }), "of something else"},
		"OtherURI":     {"the signature of something else", after(set("Signature/SignedInfo/Reference", "URI", "#other")), "of something else"},
		"NoHash": {"goxmldsig looks past the first letter", after(func(a *etree.Element) {
			set("Signature/SignedInfo/Reference", "URI", "x"+a.SelectAttrValue("ID", ""))(a)
		}), "of something else"},
		"TwoReferences": {"of two things", after(func(a *etree.Element) {
			at(a, "Signature/SignedInfo").AddChild(at(a, "Signature/SignedInfo/Reference").Copy())
		}), "<Reference> is 2 times"},
		"TwoSignatures":  {"which counts?", after(func(a *etree.Element) { a.AddChild(signatureOf(a).Copy()) }), "<Signature> is 2 times"},
		"TwoSignedInfos": {"which counts?", after(func(a *etree.Element) { at(a, "Signature").AddChild(at(a, "Signature/SignedInfo").Copy()) }), "<SignedInfo> is 2 times"},
		"Object":         {"a place for something else", after(func(a *etree.Element) { at(a, "Signature").CreateElement("ds:Object") }), "does not belong into <Signature>"},
		"Elsewhere": {"not where it belongs", after(func(a *etree.Element) {
			signature := signatureOf(a)
			a.RemoveChild(signature)
			at(a, "Subject").AddChild(signature)
		}), "does not belong into <Subject>"},
		"Emptied": {"no value", after(func(a *etree.Element) { at(a, "Signature/SignatureValue").SetText("") }), "not by a valid certificate"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			l := login()
			r := idp.Response(l, test.sign(idp.Assertion(l)))
			refused(t, newProvider(t), samltest.Encode(r), l.Now, test.reason, test.says)
		})
	}
}

// TestSignatureOfWrongElement: a signed assertion does not vouch for another response, and
// a response's signature not for another assertion.
func TestSignatureOfWrongElement(t *testing.T) {
	idp := keys().idp
	l := login()
	good := sign(t, idp, idp.Assertion(l))

	moved := idp.Response(l, idp.Assertion(l))
	moved.InsertChildAt(1, signatureOf(good).Copy())
	refused(t, newProvider(t), samltest.Encode(moved), l.Now, "the signature of an assertion, in the response", "of something else")

	signed := sign(t, idp, idp.Response(l, idp.Assertion(l)))
	inner := idp.Response(l, idp.Assertion(l))
	at(inner, "Assertion").InsertChildAt(1, signatureOf(signed).Copy())
	refused(t, newProvider(t), samltest.Encode(inner), l.Now, "the signature of a response, in the assertion", "of something else")

	outer := sign(t, idp, idp.Response(l, sign(t, keys().foreign, idp.Assertion(l))))
	refused(t, newProvider(t), samltest.Encode(outer), l.Now, "a bad signature is not made good by one round it", "not by a valid certificate")

	bad := sign(t, keys().foreign, idp.Response(l, good))
	refused(t, newProvider(t), samltest.Encode(bad), l.Now, "nor by one in it", "not by a valid certificate")
}

// TestCertificates: a certificate counts while it is valid, and each of the metadata does.
func TestCertificates(t *testing.T) {
	idp := keys().idp
	now := time.Now().Truncate(time.Second)
	expired, err := samltest.New(idpID, idp.SSOURL)
	if err != nil {
		t.Fatal(err)
	}
	if expired.Key, expired.Certificate, err = samltest.NewKey(now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	descriptor := string(expired.Metadata())
	begin, end := strings.Index(descriptor, "<md:KeyDescriptor"), strings.Index(descriptor, "</md:KeyDescriptor>")+len("</md:KeyDescriptor>")
	both := strings.Replace(string(idp.Metadata()), "<md:KeyDescriptor", descriptor[begin:end]+"<md:KeyDescriptor", 1)
	sp := newProvider(t, func(c *saml.Config) { c.Metadata = []byte(both) })
	l := login()
	if _, err := sp.Response(samltest.Encode(idp.Response(l, sign(t, idp, idp.Assertion(l)))), requestID, l.Now); err != nil {
		t.Errorf("the valid one of two certificates does not count: %v", err)
	}
	refused(t, sp, samltest.Encode(idp.Response(l, sign(t, expired, idp.Assertion(l)))), l.Now, "the certificate has expired", "not by a valid certificate")
	l.Now = now.Add(-2 * time.Minute)
	if _, err := sp.Response(samltest.Encode(idp.Response(l, sign(t, expired, idp.Assertion(l)))), requestID, l.Now); err != nil {
		t.Errorf("before it expired it was good: %v", err)
	}
}

// TestECDSA: signatures by ECDSA are those of XML, and by the metadata's curve.
func TestECDSA(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	idp := *keys().idp
	if idp.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	l := login()
	a := idp.Assertion(l)
	signing, err := dsig.NewSigningContext(key, [][]byte{der})
	if err != nil {
		t.Fatal(err)
	}
	signing.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := signing.ConstructSignature(a, true)
	if err != nil {
		t.Fatal(err)
	}
	a.InsertChildAt(1, signature)
	sp := newProvider(t, func(c *saml.Config) { c.Metadata = idp.Metadata() })
	if _, err := sp.Response(samltest.Encode(idp.Response(l, a)), requestID, l.Now); err != nil {
		t.Error(err)
	}
}
