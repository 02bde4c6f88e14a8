// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"testing"

	"github.com/beevik/etree"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/samltest"
)

// TestEncryptionRefused (checklist 27): whoever reads the metadata can encrypt, so that
// encryption proves nothing; and what cannot be decrypted is told from nothing else.
func TestEncryptionRefused(t *testing.T) {
	idp := keys().idp
	const cannot = "cannot be decrypted"
	cases := map[string]struct {
		reason string
		make   func(l *samltest.Login) *etree.Element
		says   string
	}{
		"Unsigned": {"encrypted by anybody", func(l *samltest.Login) *etree.Element {
			return idp.Response(l, encrypt(t, idp.Assertion(l), samltest.OAEP, samltest.AESGCM))
		}, "neither it nor its assertion is signed"},
		"Foreign": {"signed by somebody else", func(l *samltest.Login) *etree.Element {
			return idp.Response(l, encrypt(t, sign(t, keys().foreign, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM))
		}, "not by a valid certificate"},
		"PKCS1": {"an oracle for whoever has caught an assertion", func(l *samltest.Login) *etree.Element {
			return sign(t, idp, idp.Response(l, encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.PKCS1, samltest.AESGCM)))
		}, "key encryption algorithm is not accepted"},
		"CBC": {"another one, where nobody says that it is whole", func(l *samltest.Login) *etree.Element {
			return idp.Response(l, encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESCBC))
		}, "accepted in signed responses only"},
		"TripleDES": {"a cipher of the past", func(l *samltest.Login) *etree.Element {
			sealed := encrypt(t, idp.Assertion(l), samltest.OAEP, samltest.AESGCM)
			at(sealed, "EncryptedData/EncryptionMethod").CreateAttr("Algorithm", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc")
			return sign(t, idp, idp.Response(l, sealed))
		}, "encryption algorithm is not accepted"},
		"OtherKey": {"to somebody else", func(l *samltest.Login) *etree.Element {
			sealed, err := samltest.Encrypt(idp.Assertion(l), &keys().otherKey.PublicKey, samltest.OAEP, samltest.AESGCM)
			if err != nil {
				t.Fatal(err)
			}
			return idp.Response(l, sealed)
		}, cannot},
		"Changed": {"not what was encrypted", func(l *samltest.Login) *etree.Element {
			sealed := encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM)
			value := at(sealed, "EncryptedData/CipherData/CipherValue")
			value.SetText("AAAA" + value.Text()[4:])
			return idp.Response(l, sealed)
		}, cannot},
		"NoXML": {"decrypted, and none", func(l *samltest.Login) *etree.Element {
			element := etree.NewElement("x")
			return idp.Response(l, encrypt(t, element, samltest.OAEP, samltest.AESGCM))
		}, cannot},
		"Comment": {"what is encrypted is read as strictly", func(l *samltest.Login) *etree.Element {
			a := sign(t, idp, idp.Assertion(l))
			at(a, "Subject/NameID").CreateComment("")
			return idp.Response(l, encrypt(t, a, samltest.OAEP, samltest.AESGCM))
		}, cannot},
		"SameID": {"an ID that is outside too", func(l *samltest.Login) *etree.Element {
			r := idp.Response(l)
			a := idp.Assertion(l)
			a.CreateAttr("ID", r.SelectAttrValue("ID", ""))
			r.AddChild(encrypt(t, sign(t, idp, a), samltest.OAEP, samltest.AESGCM))
			return r
		}, cannot},
		"Nested": {"an encrypted assertion in an encrypted one", func(l *samltest.Login) *etree.Element {
			inner := encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM)
			return idp.Response(l, encrypt(t, inner, samltest.OAEP, samltest.AESGCM))
		}, cannot},
		"TwoKeys": {"which counts?", func(l *samltest.Login) *etree.Element {
			sealed := encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM)
			other := at(sealed, "EncryptedData/KeyInfo/EncryptedKey").Copy()
			other.CreateAttr("xmlns:xenc", "http://www.w3.org/2001/04/xmlenc#")
			sealed.AddChild(other)
			return idp.Response(l, sealed)
		}, "2 EncryptedKeys"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			l := login()
			refused(t, newProvider(t), samltest.Encode(test.make(l)), l.Now, test.reason, test.says)
		})
	}
}

// TestKeyBeside: the encrypted key may be in the encrypted data, or beside it.
func TestKeyBeside(t *testing.T) {
	idp, l := keys().idp, login()
	sealed := encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM)
	key := at(sealed, "EncryptedData/KeyInfo/EncryptedKey")
	key.Parent().RemoveChild(key)
	key.CreateAttr("Id", "_key")
	key.CreateAttr("xmlns:xenc", "http://www.w3.org/2001/04/xmlenc#")
	at(sealed, "EncryptedData/KeyInfo").CreateElement("ds:RetrievalMethod").CreateAttr("URI", "#_key")
	sealed.AddChild(key)
	if _, err := newProvider(t).Response(samltest.Encode(idp.Response(l, sealed)), requestID, l.Now); err != nil {
		t.Error(err)
	}
}

// TestEncryptionRequired: who asks for encryption gets nothing else.
func TestEncryptionRequired(t *testing.T) {
	idp, l := keys().idp, login()
	sp := newProvider(t, func(c *saml.Config) { c.EncryptionRequired = true })
	plain := idp.Response(l, sign(t, idp, idp.Assertion(l)))
	refused(t, sp, samltest.Encode(plain), l.Now, "a plain assertion", "is not encrypted")
	sealed := idp.Response(l, encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM))
	if _, err := sp.Response(samltest.Encode(sealed), requestID, l.Now); err != nil {
		t.Error(err)
	}
}

// TestDecryptionOracle: by CBC, padding and content fail in one way.
func TestDecryptionOracle(t *testing.T) {
	idp, l := keys().idp, login()
	seen := map[string]bool{}
	for i := range 24 {
		sealed := encrypt(t, idp.Assertion(l), samltest.OAEP, samltest.AESCBC)
		value := at(sealed, "EncryptedData/CipherData/CipherValue")
		text := value.Text()
		place := (i * 37) % (len(text) - 8)
		value.SetText(text[:place] + "AAAA" + text[place+4:])
		_, err := newProvider(t).Response(samltest.Encode(sign(t, idp, idp.Response(l, sealed))), requestID, l.Now)
		if err == nil {
			continue // The change met what nobody reads, such as the space of an ID.
		}
		seen[err.Error()] = true
	}
	if len(seen) != 1 {
		t.Errorf("want one error for all that was refused: %v", seen)
	}
}
