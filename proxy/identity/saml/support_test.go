// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/samltest"
)

const (
	entityID   = "https://doorward.dev/saml/company"
	acsURL     = "https://login.shop.example/saml/company/acs"
	idpID      = "https://idp.example/metadata"
	requestID  = "_0123456789abcdef0123456789abcdef"
	persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	transient  = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// keys are made once: they are dear.
var keys = sync.OnceValue(func() (k struct {
	idp, foreign   *samltest.IdP
	key, otherKey  *rsa.PrivateKey
	own, otherCert *x509.Certificate
},
) {
	var errs [4]error
	k.idp, errs[0] = samltest.New(idpID, "https://idp.example/sso")
	k.foreign, errs[1] = samltest.New(idpID, "https://idp.example/sso")
	k.key, k.own, errs[2] = samltest.NewKey(time.Now().Add(time.Hour))
	k.otherKey, k.otherCert, errs[3] = samltest.NewKey(time.Now().Add(time.Hour))
	if err := errors.Join(errs[:]...); err != nil {
		panic(err)
	}
	return k
})

func config() saml.Config {
	return saml.Config{
		EntityID: entityID, ACSURL: acsURL, Metadata: keys().idp.Metadata(), IdPEntityID: idpID,
		Key: keys().key, Certificate: keys().own,
	}
}

func newProvider(t *testing.T, changes ...func(*saml.Config)) *saml.ServiceProvider {
	t.Helper()
	c := config()
	for _, change := range changes {
		change(&c)
	}
	sp, err := saml.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// login is a good one at an instant without a fraction, since instants are written by
// milliseconds.
func login() *samltest.Login {
	return &samltest.Login{
		RequestID: requestID, ACSURL: acsURL, Audience: entityID, NameID: "ann@shop.example", Format: persistent,
		Attributes: map[string][]string{"department": {"finance"}, "groups": {"analysts", "leads"}},
		Now:        time.Now().Truncate(time.Second),
	}
}

func sign(tb testing.TB, by *samltest.IdP, element *etree.Element) *etree.Element {
	tb.Helper()
	signed, err := by.Sign(element)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func encrypt(tb testing.TB, element *etree.Element, transport, algorithm string) *etree.Element {
	tb.Helper()
	sealed, err := samltest.Encrypt(element, &keys().key.PublicKey, transport, algorithm)
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

// refused says that a response is, and that the error says why in some words.
func refused(t *testing.T, sp *saml.ServiceProvider, encoded string, now time.Time, reason, says string) {
	t.Helper()
	a, err := sp.Response(encoded, requestID, now)
	switch {
	case err == nil:
		t.Errorf("%s: accepted as %q", reason, a.NameID)
	case !errors.Is(err, saml.ErrRejected):
		t.Errorf("%s: not ErrRejected: %v", reason, err)
	case !strings.Contains(err.Error(), says):
		t.Errorf("%s: want %q: %v", reason, says, err)
	}
	if a.NameID != "" || a.ID != "" {
		t.Errorf("%s: what is refused names somebody: %+v", reason, a)
	}
}

func encodeText(document string) string { return base64.StdEncoding.EncodeToString([]byte(document)) }

func decodeText(tb testing.TB, encoded string) string {
	tb.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}
