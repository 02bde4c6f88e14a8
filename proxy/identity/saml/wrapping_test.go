// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"testing"

	"github.com/beevik/etree"

	"github.com/doorward/doorward/test/samltest"
)

const evilName = "root@shop.example"

// evil is a copy that names somebody else, without its signature.
func evil(element *etree.Element) *etree.Element {
	other := unsigned(element)
	for _, name := range other.FindElements(".//NameID") {
		name.SetText(evilName)
	}
	return other
}

// unsigned is a copy without its signature.
func unsigned(element *etree.Element) *etree.Element {
	other := element.Copy()
	if signature := other.SelectElement("Signature"); signature != nil {
		other.RemoveChild(signature)
	}
	return other
}

func signatureOf(element *etree.Element) *etree.Element { return element.SelectElement("Signature") }

func insertBefore(parent, element, before *etree.Element) {
	parent.InsertChildAt(before.Index(), element)
}

// wrappings are XSW1 to XSW8 in the numbering of SAML Raider, made of a good response
// whose response (1 and 2) or assertion (3 to 8) is signed. A reader that verifies the
// one element and reads the other takes evilName for the user.
var wrappings = map[string]struct {
	reason  string
	message bool // whether the response is what is signed
	wrap    func(r *etree.Element)
}{
	"XSW1": {"the signed response in the signature of an evil one", true, func(r *etree.Element) {
		original := unsigned(r)
		poison(r)
		signatureOf(r).AddChild(original)
		r.CreateAttr("ID", "_evil_response_ID")
	}},
	"XSW2": {"the signed response before its signature, in an evil one", true, func(r *etree.Element) {
		original := unsigned(r)
		poison(r)
		insertBefore(r, original, signatureOf(r))
		r.CreateAttr("ID", "_evil_response_ID")
	}},
	"XSW3": {"an evil assertion before the signed one", false, func(r *etree.Element) {
		signed := r.SelectElement("Assertion")
		other := evil(signed)
		other.CreateAttr("ID", "_evil_assertion_ID")
		insertBefore(r, other, signed)
	}},
	"XSW4": {"the signed assertion in an evil one", false, func(r *etree.Element) {
		signed := r.SelectElement("Assertion")
		other := evil(signed)
		other.CreateAttr("ID", "_evil_assertion_ID")
		r.RemoveChild(signed)
		r.AddChild(other)
		other.AddChild(signed)
	}},
	"XSW5": {"an evil assertion has the signature of one that follows", false, func(r *etree.Element) {
		signed := r.SelectElement("Assertion")
		original := unsigned(signed)
		poison(signed)
		signed.CreateAttr("ID", "_evil_assertion_ID")
		r.AddChild(original)
	}},
	"XSW6": {"the signed assertion in the signature of an evil one", false, func(r *etree.Element) {
		signed := r.SelectElement("Assertion")
		original := unsigned(signed)
		poison(signed)
		signed.CreateAttr("ID", "_evil_assertion_ID")
		signatureOf(signed).AddChild(original)
	}},
	"XSW7": {"an evil assertion of the same ID in Extensions", false, func(r *etree.Element) {
		signed := r.SelectElement("Assertion")
		extensions := etree.NewElement("samlp:Extensions")
		extensions.AddChild(evil(signed))
		insertBefore(r, extensions, signed)
	}},
	"XSW8": {"the signed assertion in an Object of the signature of an evil one of the same ID", false, func(r *etree.Element) {
		signed := r.SelectElement("Assertion")
		original := unsigned(signed)
		poison(signed)
		signatureOf(signed).CreateElement("ds:Object").AddChild(original)
	}},
}

// poison names somebody else in an element, which keeps its signature.
func poison(element *etree.Element) {
	for _, name := range element.FindElements(".//NameID") {
		name.SetText(evilName)
	}
}

// TestWrapping (checklist 27): none of the eight is taken, as it is, with IDs made
// unique, with the evil and the signed part changed round, and with what is in it
// encrypted, which whoever reads the metadata can do.
func TestWrapping(t *testing.T) {
	idp := keys().idp
	variants := map[string]func(r *etree.Element){
		"AsItIs":         func(*etree.Element) {},
		"UniqueIDs":      uniqueIDs,
		"Swapped":        swapNames,
		"Encrypted":      func(r *etree.Element) { encryptAll(t, r, 0) },
		"EncryptedFirst": func(r *etree.Element) { encryptAll(t, r, 1) },
		"EncryptedLast":  func(r *etree.Element) { encryptAll(t, r, 2) },
	}
	for name, test := range wrappings {
		for variant, change := range variants {
			t.Run(name+"/"+variant, func(t *testing.T) {
				l := login()
				var r *etree.Element
				if test.message {
					r = sign(t, idp, idp.Response(l, idp.Assertion(l)))
				} else {
					r = idp.Response(l, sign(t, idp, idp.Assertion(l)))
				}
				if _, err := newProvider(t).Response(samltest.Encode(r), requestID, l.Now); err != nil {
					t.Fatalf("the response to be wrapped is not good: %v", err)
				}
				test.wrap(r)
				change(r)
				refused(t, newProvider(t), samltest.Encode(r), l.Now, test.reason, "")
			})
		}
	}
}

// TestWrappingPlaces: each wrapping is refused for what it is: there is no place for the
// second element, wherever it was put, and where an ID is there twice, nobody asks which
// of the two is meant.
func TestWrappingPlaces(t *testing.T) {
	idp := keys().idp
	for name, says := range map[string]string{
		"XSW1": "<samlp:Response> does not belong into <Signature>",
		"XSW2": "<samlp:Response> does not belong into <Response>",
		"XSW3": "<Assertion> is 2 times in <Response>",
		"XSW4": "<saml:Assertion> does not belong into <Assertion>",
		"XSW5": "<Assertion> is 2 times in <Response>",
		"XSW6": "<saml:Assertion> does not belong into <Signature>",
		"XSW7": "<samlp:Extensions> does not belong into <Response>",
		"XSW8": "<ds:Object> does not belong into <Signature>",
	} {
		t.Run(name, func(t *testing.T) {
			l := login()
			r := idp.Response(l, sign(t, idp, idp.Assertion(l)))
			if wrappings[name].message {
				r = sign(t, idp, idp.Response(l, idp.Assertion(l)))
			}
			wrappings[name].wrap(r)
			repeated := samltest.Encode(r)
			uniqueIDs(r)
			refused(t, newProvider(t), samltest.Encode(r), l.Now, wrappings[name].reason, says)
			// In these the signed copy keeps its own ID, and the evil one gets another.
			switch name {
			case "XSW3", "XSW4", "XSW5", "XSW6":
				refused(t, newProvider(t), repeated, l.Now, wrappings[name].reason, says)
			default:
				refused(t, newProvider(t), repeated, l.Now, wrappings[name].reason, "two elements have one ID")
			}
		})
	}
}

// uniqueIDs gives every element but the first its own ID.
func uniqueIDs(r *etree.Element) {
	seen := map[string]bool{}
	for _, element := range append([]*etree.Element{r}, r.FindElements(".//*")...) {
		id := element.SelectAttrValue("ID", "")
		if seen[id] {
			element.CreateAttr("ID", id+"x")
		}
		seen[id] = id != ""
	}
}

// swapNames changes the evil and the true name round.
func swapNames(r *etree.Element) {
	for _, name := range r.FindElements(".//NameID") {
		if name.Text() == evilName {
			name.SetText(login().NameID)
		} else {
			name.SetText(evilName)
		}
	}
}

// encryptAll encrypts the assertions that are in the response itself: all, the first
// (1) or the last (2).
func encryptAll(t *testing.T, r *etree.Element, which int) {
	t.Helper()
	found := r.SelectElements("Assertion")
	for i, element := range found {
		if which == 1 && i > 0 || which == 2 && i < len(found)-1 {
			continue
		}
		place := element.Index()
		r.RemoveChild(element)
		r.InsertChildAt(place, encrypt(t, element, samltest.OAEP, samltest.AESGCM))
	}
}
