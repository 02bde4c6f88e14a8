// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/doorward/doorward/proxy/identity"
)

// success is the StatusCode of a response with an assertion (saml-core-2.0-os section
// 3.2.2.2).
const success = "urn:oasis:names:tc:SAML:2.0:status:Success"

// Response reads the SAMLResponse field that a browser has posted to the ACSURL, as the
// answer to the AuthnRequest of that id. Errors wrap ErrRejected.
func (sp *ServiceProvider) Response(encoded, requestID string, now time.Time) (Assertion, error) {
	a, err := sp.response(encoded, requestID, now)
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: %w", ErrRejected, err)
	}
	return a, nil
}

func (sp *ServiceProvider) response(encoded, requestID string, now time.Time) (Assertion, error) {
	if requestID == "" {
		return Assertion{}, errors.New("nobody has asked for it: begin at the login portal")
	}
	if until := sp.idp.ValidUntil; !until.IsZero() && !now.Before(until) {
		return Assertion{}, fmt.Errorf("the identity provider's metadata has ended at %s: fetch it again", until.UTC().Format(time.RFC3339))
	}
	raw, err := decode(encoded)
	if err != nil {
		return Assertion{}, err
	}
	ids := map[string]bool{}
	response, err := parse(raw, ids)
	if err != nil {
		return Assertion{}, err
	}
	if err := checkStatus(response); err != nil {
		return Assertion{}, err
	}
	response, wholeSigned, err := sp.signed(response, &responseShape, now)
	if err != nil {
		return Assertion{}, err
	}
	if err := sp.checkResponse(response, requestID); err != nil {
		return Assertion{}, err
	}
	unverified, err := sp.assertionIn(response, wholeSigned, ids)
	if err != nil {
		return Assertion{}, err
	}
	element, itselfSigned, err := sp.signed(unverified, &assertionShape, now)
	if err != nil {
		return Assertion{}, err
	}
	if !wholeSigned && !itselfSigned {
		return Assertion{}, errors.New("neither it nor its assertion is signed: let the identity provider sign assertions")
	}
	a, at, err := sp.read(element, requestID, now)
	if err != nil {
		return Assertion{}, err
	}
	err = sp.agree(encoded, &a, at)
	return a, err
}

// signed is an element of a shape as it was signed, and true, where there is a signature
// in it; else the element itself, and false.
func (sp *ServiceProvider) signed(element *etree.Element, of *shape, now time.Time) (*etree.Element, bool, error) {
	if err := of.check(element); err != nil {
		return nil, false, err
	}
	if find(element, dsig("Signature")) == nil {
		return element, false, nil
	}
	verified, err := sp.verify(element, now)
	if err != nil {
		return nil, false, err
	}
	// What was verified is another document: it must be what was checked.
	if nameOf(verified) != nameOf(element) || attribute(verified, "ID") != attribute(element, "ID") {
		return nil, false, fmt.Errorf("the signature of <%s> is of something else", element.Tag)
	}
	return verified, true, of.check(verified)
}

// assertionIn is the one assertion of a response, decrypted.
func (sp *ServiceProvider) assertionIn(response *etree.Element, signed bool, ids map[string]bool) (*etree.Element, error) {
	plain, encrypted := find(response, assertion("Assertion")), find(response, assertion("EncryptedAssertion"))
	switch {
	case (plain == nil) == (encrypted == nil):
		return nil, errors.New("want one assertion, encrypted or not")
	case encrypted != nil:
		return sp.decrypt(encrypted, signed, ids)
	case sp.config.EncryptionRequired:
		return nil, errors.New("the assertion is not encrypted: let the identity provider encrypt it to the certificate in the portal's metadata, or set assertionEncryption to Optional")
	}
	return plain, nil
}

// checkStatus says why the identity provider has proven nobody, in its own words.
func checkStatus(response *etree.Element) error {
	if nameOf(response) != protocol("Response") {
		return errors.New("it is not a Response of SAML 2.0")
	}
	status := find(response, protocol("Status"))
	if status == nil {
		return errors.New("it has no Status")
	}
	var codes []string
	for code := find(status, protocol("StatusCode")); code != nil && len(codes) < 4; code = find(code, protocol("StatusCode")) {
		codes = append(codes, attribute(code, "Value"))
	}
	if len(codes) > 0 && codes[0] == success {
		return nil
	}
	return fmt.Errorf("the identity provider has not logged the user in: %q", identity.Shorten(strings.Join(codes, " ")))
}

// checkResponse is about what is beside the assertion. Where the response is not signed,
// the assertion says all of it again.
func (sp *ServiceProvider) checkResponse(response *etree.Element, requestID string) error {
	if version := attribute(response, "Version"); version != "2.0" {
		return fmt.Errorf("its version is not 2.0: %q", identity.Shorten(version))
	}
	if attribute(response, "InResponseTo") != requestID {
		return errors.New("it answers another request: log in again, beginning at the login portal")
	}
	if to := attribute(response, "Destination"); to != sp.config.ACSURL {
		return fmt.Errorf("it is for another place: Destination is %q, want %q", identity.Shorten(to), sp.config.ACSURL)
	}
	return sp.checkIssuer(response)
}

// entityFormat is the format of an Issuer (saml-core-2.0-os section 8.3.6).
const entityFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"

func (sp *ServiceProvider) checkIssuer(element *etree.Element) error {
	issuer := find(element, assertion("Issuer"))
	if format := attribute(issuer, "Format"); format != "" && format != entityFormat {
		return fmt.Errorf("the Issuer of <%s> is no entity: %q", element.Tag, identity.Shorten(format))
	}
	if by := text(issuer); by != sp.idp.EntityID {
		return fmt.Errorf("<%s> is of another issuer: %q, want %q", element.Tag, identity.Shorten(by), sp.idp.EntityID)
	}
	return nil
}
