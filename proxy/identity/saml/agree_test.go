// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"errors"
	"testing"
	"time"

	"github.com/doorward/doorward/test/samltest"
)

// TestAgree (checklist 27): what our own reading would let pass, the other reader refuses;
// gosaml2 reports time and audience, and does not fail for them.
func TestAgree(t *testing.T) {
	idp, err := samltest.New("https://idp.example", "https://idp.example/sso")
	if err != nil {
		t.Fatal(err)
	}
	key, certificate, err := samltest.NewKey(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	const id = "_0123456789abcdef0123456789abcdef"
	config := Config{
		EntityID: "urn:doorward", ACSURL: "https://login.example/acs", Metadata: idp.Metadata(), IdPEntityID: idp.EntityID,
		Key: key, Certificate: certificate,
	}
	sp, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	login := &samltest.Login{
		RequestID: id, ACSURL: config.ACSURL, Audience: config.EntityID, NameID: "ann", Now: time.Now().Truncate(time.Second),
		Attributes: map[string][]string{"groups": {"a", "b"}},
	}
	encoded, err := idp.Post(login)
	if err != nil {
		t.Fatal(err)
	}
	good, err := sp.Response(encoded, id, login.Now)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *sp
	elsewhere.config.EntityID = "urn:other"
	foreign, err := samltest.New(idp.EntityID, idp.SSOURL)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := foreign.Post(login)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		reason  string
		sp      *ServiceProvider
		encoded string
		change  func(a *Assertion)
		at      time.Time
	}{
		"Early":     {"not in force yet", sp, encoded, func(*Assertion) {}, login.Now.Add(-time.Minute)},
		"Late":      {"not in force any more", sp, encoded, func(*Assertion) {}, login.Now.Add(time.Hour)},
		"Audience":  {"for others", &elsewhere, encoded, func(*Assertion) {}, login.Now},
		"Forged":    {"signed by others", sp, forged, func(*Assertion) {}, login.Now},
		"Name":      {"another user", sp, encoded, func(a *Assertion) { a.NameID = "bob" }, login.Now},
		"Format":    {"another kind of name", sp, encoded, func(a *Assertion) { a.NameIDFormat = transient }, login.Now},
		"ID":        {"another assertion", sp, encoded, func(a *Assertion) { a.ID = "_other" }, login.Now},
		"Attribute": {"another group", sp, encoded, func(a *Assertion) { a.Attributes = []Attribute{{Name: "groups", Values: []string{"a", "admins"}}} }, login.Now},
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			test.change(&a)
			if err := test.sp.agree(test.encoded, &a, test.at); !errors.Is(err, errDisagree) {
				t.Errorf("%s: %v", test.reason, err)
			}
		})
	}
	if err := sp.agree(encoded, &good, login.Now); err != nil {
		t.Error(err)
	}
}
