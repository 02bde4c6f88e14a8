// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/samltest"
)

// TestAccepted: each way of signing and encrypting that the profile has gives the same
// caller.
func TestAccepted(t *testing.T) {
	idp := keys().idp
	cases := map[string]struct {
		reason string
		make   func(l *samltest.Login) *etree.Element
	}{
		"Assertion": {"the assertion is signed", func(l *samltest.Login) *etree.Element {
			return idp.Response(l, sign(t, idp, idp.Assertion(l)))
		}},
		"Response": {"the response is signed, and the assertion with it", func(l *samltest.Login) *etree.Element {
			return sign(t, idp, idp.Response(l, idp.Assertion(l)))
		}},
		"Both": {"each is signed", func(l *samltest.Login) *etree.Element {
			return sign(t, idp, idp.Response(l, sign(t, idp, idp.Assertion(l))))
		}},
		"Encrypted": {"signed, then encrypted", func(l *samltest.Login) *etree.Element {
			return idp.Response(l, encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM))
		}},
		"EncryptedThenSigned": {"encrypted, then signed with the response", func(l *samltest.Login) *etree.Element {
			return sign(t, idp, idp.Response(l, encrypt(t, idp.Assertion(l), samltest.OAEP, samltest.AESGCM)))
		}},
		"DefaultNamespace": {"without prefixes, as Microsoft Entra ID writes it", func(l *samltest.Login) *etree.Element {
			return idp.Response(l, sign(t, idp, withoutPrefix(idp.Assertion(l))))
		}},
		"CBC": {"Microsoft Entra ID has nothing better; the response's signature keeps it whole", func(l *samltest.Login) *etree.Element {
			return sign(t, idp, idp.Response(l, encrypt(t, sign(t, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESCBC)))
		}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			l := login()
			a, err := newProvider(t).Response(samltest.Encode(test.make(l)), requestID, l.Now.Add(time.Second))
			if err != nil {
				t.Fatalf("%s: %v", test.reason, err)
			}
			if a.NameID != l.NameID || a.NameIDFormat != persistent || a.Issuer != idpID || a.ID == "" {
				t.Errorf("%s: %+v", test.reason, a)
			}
			if !a.AuthnInstant.Equal(l.Now) || !a.NotOnOrAfter.Equal(l.Now.Add(5*time.Minute)) || !a.SessionNotOnOrAfter.IsZero() {
				t.Errorf("%s: times: %+v", test.reason, a)
			}
			raw, err := a.Claims()
			if err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			if err := json.Unmarshal(raw, &claims); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{
				"iss": idpID, "sub": l.NameID, "aud": entityID, "auth_time": float64(l.Now.Unix()),
				"department": "finance", "groups": []any{"analysts", "leads"},
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("%s: claims (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

// withoutPrefix has the assertion's namespace as the default one.
func withoutPrefix(a *etree.Element) *etree.Element {
	a.RemoveAttr("xmlns:saml")
	a.CreateAttr("xmlns", samltest.Assertion)
	for _, element := range append(a.FindElements(".//*"), a) {
		element.Space = ""
	}
	return a
}

// at finds what is below an element, such as "Subject/NameID".
func at(element *etree.Element, path string) *etree.Element {
	found := element.FindElement(path)
	if found == nil {
		panic("no " + path)
	}
	return found
}

// set sets an attribute of what is below an element.
func set(path, key, value string) func(*etree.Element) {
	return func(a *etree.Element) {
		if path == "." {
			a.CreateAttr(key, value)
			return
		}
		at(a, path).CreateAttr(key, value)
	}
}

func attributeOf(names ...string) func(*etree.Element) {
	return func(a *etree.Element) {
		statement := at(a, "AttributeStatement")
		for _, name := range names {
			name, format, _ := strings.Cut(name, "|")
			one := statement.CreateElement("saml:Attribute")
			one.CreateAttr("Name", name)
			if format != "" {
				one.CreateAttr("NameFormat", format)
			}
			one.CreateElement("saml:AttributeValue").SetText("x")
		}
	}
}

// distinct are n names.
func distinct(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "n" + strconv.Itoa(i)
	}
	return names
}

// TestAssertionRefused: an assertion by the right identity provider, rightly signed, that
// is not for this login. The response is good but for it.
func TestAssertionRefused(t *testing.T) {
	idp := keys().idp
	const data, bearer = "Subject/SubjectConfirmation/SubjectConfirmationData", "Subject/SubjectConfirmation"
	later := login().Now.Add(48 * time.Hour).UTC().Format(time.RFC3339)
	cases := map[string]struct {
		reason string
		change func(a *etree.Element)
		says   string
	}{
		"Issuer":       {"of another identity provider", func(a *etree.Element) { at(a, "Issuer").SetText("https://evil.example") }, "another issuer"},
		"IssuerFormat": {"an issuer is an entity", set("Issuer", "Format", persistent), "no entity"},
		"Version":      {"of another version", set(".", "Version", "1.1"), "version"},
		"Audience":     {"for another service provider", func(a *etree.Element) { at(a, "Conditions/AudienceRestriction/Audience").SetText(entityID + "2") }, `for another audience: "`},
		"NoAudience":   {"for everybody", func(a *etree.Element) { at(a, "Conditions").RemoveChild(at(a, "Conditions/AudienceRestriction")) }, "<AudienceRestriction> is 0 times"},
		"TwoAudiences": {"for somebody else too", func(a *etree.Element) {
			at(a, "Conditions/AudienceRestriction").CreateElement("saml:Audience").SetText("x")
		}, "<Audience> is 2 times"},
		"Recipient":        {"sent to another place", set(data, "Recipient", acsURL+"/"), "Recipient is"},
		"InResponseTo":     {"the answer to another request", set(data, "InResponseTo", requestID+"0"), "answers another request"},
		"Unsolicited":      {"nobody has asked", func(a *etree.Element) { at(a, data).RemoveAttr("InResponseTo") }, "answers another request"},
		"Method":           {"held by a key that nobody asked for", set(bearer, "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), "confirmed in another way"},
		"TwoConfirmations": {"which counts?", func(a *etree.Element) { at(a, "Subject").AddChild(at(a, bearer).Copy()) }, "<SubjectConfirmation> is 2 times"},
		"BearerNotBefore":  {"the profile forbids it", set(data, "NotBefore", later), `"NotBefore" does not belong`},
		"NoConditions":     {"good for ever", func(a *etree.Element) { a.RemoveChild(at(a, "Conditions")) }, "<Conditions> is 0 times"},
		"NoEnd":            {"good for ever", func(a *etree.Element) { at(a, "Conditions").RemoveAttr("NotOnOrAfter") }, "NotOnOrAfter"},
		"NoBearerEnd":      {"good for ever", func(a *etree.Element) { at(a, data).RemoveAttr("NotOnOrAfter") }, "NotOnOrAfter"},
		"Long": {"its ID would have to be remembered", func(a *etree.Element) {
			set(data, "NotOnOrAfter", later)(a)
			set("Conditions", "NotOnOrAfter", later)(a)
		}, "for minutes"},
		"UnknownCondition": {"what is not understood does not hold", func(a *etree.Element) { at(a, "Conditions").CreateElement("saml:Condition") }, "does not belong into <Conditions>"},
		"NoAuthnStatement": {"nobody has logged in", func(a *etree.Element) { a.RemoveChild(at(a, "AuthnStatement")) }, "<AuthnStatement> is 0 times"},
		"SessionOver":      {"the session has ended", set("AuthnStatement", "SessionNotOnOrAfter", login().Now.Add(-time.Hour).UTC().Format(time.RFC3339)), "session has ended"},
		"FutureLogin":      {"a login that has not been", set("AuthnStatement", "AuthnInstant", later), "not in force yet"},
		"NotBefore":        {"an assertion for later", set("Conditions", "NotBefore", later), "not in force yet"},
		"FutureIssue":      {"an assertion that has not been made", set(".", "IssueInstant", later), "not in force yet"},
		"Advice": {"a place for another assertion", func(a *etree.Element) {
			other := a.Copy()
			other.CreateAttr("ID", "_other")
			a.CreateElement("saml:Advice").AddChild(other)
		}, "does not belong"},
		"Transient":         {"another at every login", set("Subject/NameID", "Format", transient), "another at every login"},
		"EncryptedID":       {"a name that cannot be read", func(a *etree.Element) { at(a, "Subject").CreateElement("saml:EncryptedID") }, "EncryptedID"},
		"NameQualifier":     {"a user of somebody else", set("Subject/NameID", "NameQualifier", "https://other.example"), "NameQualifier"},
		"SPNameQualifier":   {"a user of others", set("Subject/NameID", "SPNameQualifier", "https://other.example"), "SPNameQualifier"},
		"EmptyName":         {"nobody", func(a *etree.Element) { at(a, "Subject/NameID").SetText("") }, "NameID is empty"},
		"SpacedName":        {"two spellings of one user", func(a *etree.Element) { at(a, "Subject/NameID").SetText(" ann") }, "spaces around"},
		"ControlInName":     {"what does not print", func(a *etree.Element) { at(a, "Subject/NameID").SetText("ann\nbob") }, "control characters"},
		"LongName":          {"too long for a record", func(a *etree.Element) { at(a, "Subject/NameID").SetText(strings.Repeat("a", 513)) }, "longer than"},
		"ElementInName":     {"text that is cut in two", func(a *etree.Element) { at(a, "Subject/NameID").CreateElement("saml:x") }, "does not belong into <NameID>"},
		"PrefixedAttribute": {"readers differ on whose it is", set(".", "saml:ID", "_other"), "does not belong into <Assertion>"},
		"ReservedClaim":     {"an attribute that would set who acts", attributeOf("act"), "registered claim"},
		"ReservedSubject":   {"an attribute that would set who it is", attributeOf("sub"), "registered claim"},
		"ReservedAudience":  {"an attribute that would set for whom", attributeOf("aud"), "registered claim"},
		"ReservedEnd":       {"an attribute that would set for how long", attributeOf("exp"), "registered claim"},
		"TwoFormats":        {"two attributes of one name", attributeOf("x|a", "x|b"), "different formats"},
		"ManyAttributes":    {"bounded", attributeOf(strings.Split("a,"+strings.Join(distinct(63), ","), ",")...), "there are 66 attributes"},
		"NestedValue": {"a value that cannot be read whole", func(a *etree.Element) {
			at(a, "AttributeStatement/Attribute/AttributeValue").CreateElement("saml:NameID")
		}, "does not belong into <AttributeValue>"},
		"EncryptedAttribute": {"a group that cannot be read might be denied", func(a *etree.Element) { at(a, "AttributeStatement").CreateElement("saml:EncryptedAttribute") }, "EncryptedAttribute"},
		"ManyValues": {"bounded", func(a *etree.Element) {
			groups := at(a, "AttributeStatement/Attribute")
			for _, name := range distinct(513) {
				groups.CreateElement("saml:AttributeValue").SetText(name)
			}
		}, "at most 512 values"},
		"NoName": {"an attribute without a name", attributeOf(""), "no name"},
		"LongValue": {"bounded", func(a *etree.Element) {
			at(a, "AttributeStatement/Attribute/AttributeValue").SetText(strings.Repeat("x", 2049))
		}, "too large"},
		"NoID": {"used once, by its ID", func(a *etree.Element) { a.RemoveAttr("ID") }, ""},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			l := login()
			a := idp.Assertion(l)
			test.change(a)
			refused(t, newProvider(t), samltest.Encode(idp.Response(l, sign(t, idp, a))), l.Now, test.reason, test.says)
			// Nor where the response is what is signed.
			refused(t, newProvider(t), samltest.Encode(sign(t, idp, idp.Response(l, a))), l.Now, test.reason, test.says)
		})
	}
}

// TestResponseRefused: what is beside a good assertion.
func TestResponseRefused(t *testing.T) {
	idp := keys().idp
	cases := map[string]struct {
		reason string
		change func(r *etree.Element)
		says   string
	}{
		"Issuer":        {"of another identity provider", func(r *etree.Element) { at(r, "Issuer").SetText("https://evil.example") }, "another issuer"},
		"NoIssuer":      {"of nobody", func(r *etree.Element) { r.RemoveChild(at(r, "Issuer")) }, "<Issuer> is 0 times"},
		"Destination":   {"for another place", set(".", "Destination", acsURL+"2"), "Destination is"},
		"NoDestination": {"for any place", func(r *etree.Element) { r.RemoveAttr("Destination") }, "Destination is"},
		"InResponseTo":  {"the answer to another request", set(".", "InResponseTo", "_other"), "answers another request"},
		"Unsolicited":   {"nobody has asked", func(r *etree.Element) { r.RemoveAttr("InResponseTo") }, "answers another request"},
		"Version":       {"of another version", set(".", "Version", "1.1"), "its version"},
		"Status":        {"a failure is none, whatever is in it", set("Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"), "status:Responder"},
		"NoStatus":      {"nor is silence a success", func(r *etree.Element) { r.RemoveChild(at(r, "Status")) }, "no Status"},
		"Extensions":    {"a place for another assertion", func(r *etree.Element) { r.CreateElement("samlp:Extensions") }, "does not belong"},
		"NoAssertion":   {"nobody is proven", func(r *etree.Element) { r.RemoveChild(at(r, "Assertion")) }, "want one assertion"},
		"TwoAssertions": {"two at once", func(r *etree.Element) { r.AddChild(sign(t, idp, idp.Assertion(login()))) }, "<Assertion> is 2 times"},
		"AndEncrypted": {"one of each", func(r *etree.Element) {
			r.AddChild(encrypt(t, sign(t, idp, idp.Assertion(login())), samltest.OAEP, samltest.AESGCM))
		}, "want one assertion"},
		"Text":      {"text where none belongs", func(r *etree.Element) { r.CreateText("x") }, "where none belongs"},
		"OtherRoot": {"another message", func(r *etree.Element) { r.Tag = "ArtifactResponse" }, "not a Response"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			l := login()
			r := idp.Response(l, sign(t, idp, idp.Assertion(l)))
			test.change(r)
			refused(t, newProvider(t), samltest.Encode(r), l.Now, test.reason, test.says)
			refused(t, newProvider(t), samltest.Encode(sign(t, idp, r)), l.Now, test.reason, test.says)
		})
	}
	l := login()
	good, err := idp.Post(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newProvider(t).Response(good, "", l.Now); err == nil {
		t.Error("an answer to no request was taken")
	}
	if _, err := newProvider(t).Response(good, "_other", l.Now); err == nil {
		t.Error("an answer to another request was taken")
	}
	a := idp.Assertion(l)
	at(a, "Subject/SubjectConfirmation/SubjectConfirmationData").RemoveAttr("InResponseTo")
	r := idp.Response(l, sign(t, idp, a))
	r.RemoveAttr("InResponseTo")
	if _, err := newProvider(t).Response(samltest.Encode(r), "", l.Now); err == nil {
		t.Error("an answer to nothing was taken where nothing was asked")
	}
}

// TestStatus: why nobody is proven is in the identity provider's words, bounded and quoted.
func TestStatus(t *testing.T) {
	idp, l := keys().idp, login()
	r := idp.Response(l)
	code := at(r, "Status/StatusCode")
	code.CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
	code.CreateElement("samlp:StatusCode").CreateAttr("Value", "\x1b[2K"+strings.Repeat("x", 4096))
	r.Child = append([]etree.Token{}, r.Child...)
	raw := strings.ReplaceAll(decodeText(t, samltest.Encode(r)), "\x1b", "\u202e")
	_, err := newProvider(t).Response(encodeText(raw), requestID, l.Now)
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\u202e") || !strings.Contains(err.Error(), "status:Responder") {
		t.Errorf("checklist 48: %v", err)
	}
}

// TestNameIDFormat: what is asked for is what is taken.
func TestNameIDFormat(t *testing.T) {
	idp := keys().idp
	for name, test := range map[string]struct {
		reason, want, sent, says string
	}{
		"AsAsked":        {"the one that was asked for", persistent, persistent, ""},
		"AnotherOne":     {"not another", persistent, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "another format"},
		"NoneSent":       {"nor one that does not say what it is", persistent, "", "another format"},
		"NothingAsked":   {"none was asked for", "", "", ""},
		"AskedTransient": {"who asks for transient ones gets them", transient, transient, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := login()
			l.Format = test.sent
			encoded := samltest.Encode(idp.Response(l, sign(t, idp, idp.Assertion(l))))
			sp := newProvider(t, func(c *saml.Config) { c.NameIDFormat = test.want })
			if test.says != "" {
				refused(t, sp, encoded, l.Now, test.reason, test.says)
				return
			}
			if _, err := sp.Response(encoded, requestID, l.Now); err != nil {
				t.Errorf("%s: %v", test.reason, err)
			}
		})
	}
}

// TestAttributesMerged: Keycloak writes each role as an attribute of its own.
func TestAttributesMerged(t *testing.T) {
	idp, l := keys().idp, login()
	a := idp.Assertion(l)
	attributeOf("Role", "Role", "empty")(a)
	last := at(a, "AttributeStatement").ChildElements()
	last[len(last)-1].Child = nil
	got, err := newProvider(t).Response(samltest.Encode(idp.Response(l, sign(t, idp, a))), requestID, l.Now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := got.Claims()
	if err != nil || !strings.Contains(string(raw), `"Role":["x","x"]`) || !strings.Contains(string(raw), `"empty":[]`) {
		t.Errorf("%s, %v", raw, err)
	}
}

// TestManyGroups: as many groups as a caller may have are read, and all of them.
func TestManyGroups(t *testing.T) {
	idp, l := keys().idp, login()
	l.Attributes["groups"] = distinct(256)
	for name, r := range map[string]*etree.Element{
		"Assertion": idp.Response(l, sign(t, idp, idp.Assertion(l))),
		"Both":      sign(t, idp, idp.Response(l, sign(t, idp, idp.Assertion(l)))),
	} {
		a, err := newProvider(t).Response(samltest.Encode(r), requestID, l.Now)
		if err != nil || len(a.Attributes) != 2 || len(a.Attributes[1].Values) != 256 {
			t.Errorf("%s: %d attributes, %v", name, len(a.Attributes), err)
		}
	}
}
