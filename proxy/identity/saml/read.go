// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"

	"github.com/doorward/doorward/proxy/identity"
)

// Bounds of what is read from an assertion.
const (
	maxName        = 512
	maxAttributeNo = 64
	maxValues      = 512
	maxValue       = 2048
	// maxWindow bounds how long the ID of an assertion must be remembered.
	maxWindow = 24 * time.Hour
)

// Formats of NameIDs (saml-core-2.0-os section 8.3).
const (
	transient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	encryptedID = "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"
)

// bearer is the method by which whoever has the assertion is its subject.
const bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer" //nolint:gosec // The name of a method, no credential.

// read makes an Assertion of a verified element of the right shape, and holds it against
// the request and the time (saml-profiles-2.0-os section 4.1.4.3). The instant is one
// within the clock skew of now at which the assertion is in force.
func (sp *ServiceProvider) read(element *etree.Element, requestID string, now time.Time) (Assertion, time.Time, error) {
	a := Assertion{ID: attribute(element, "ID"), Issuer: sp.idp.EntityID, Audience: sp.config.EntityID}
	if version := attribute(element, "Version"); version != "2.0" || a.ID == "" || len(a.ID) > maxName {
		return a, now, fmt.Errorf("the assertion has no ID, or its version is not 2.0: %q", identity.Shorten(version))
	}
	if err := sp.checkIssuer(element); err != nil {
		return a, now, err
	}
	subject := find(element, assertion("Subject"))
	if err := sp.readName(find(subject, assertion("NameID")), &a); err != nil {
		return a, now, err
	}
	confirmation := find(subject, assertion("SubjectConfirmation"))
	if err := sp.checkConfirmation(confirmation, requestID); err != nil {
		return a, now, err
	}
	limits := find(element, assertion("Conditions"))
	if to := text(find(find(limits, assertion("AudienceRestriction")), assertion("Audience"))); to != sp.config.EntityID {
		return a, now, fmt.Errorf("the assertion is for another audience: %q, want %q", identity.Shorten(to), sp.config.EntityID)
	}
	at, err := sp.readTimes(element, find(confirmation, assertion("SubjectConfirmationData")), limits, now, &a)
	if err != nil {
		return a, now, err
	}
	err = readAttributes(find(element, assertion("AttributeStatement")), &a)
	return a, at, err
}

// readName reads who the user is. A name of another's qualifier could be that of two
// users, and a transient one is another at every login.
func (sp *ServiceProvider) readName(element *etree.Element, a *Assertion) error {
	a.NameID, a.NameIDFormat = text(element), attribute(element, "Format")
	if a.NameID == "" || len(a.NameID) > maxName || a.NameID != strings.TrimSpace(a.NameID) || strings.ContainsFunc(a.NameID, unicode.IsControl) {
		return fmt.Errorf("the NameID is empty, longer than %d bytes, or has spaces around it or control characters: %q", maxName, identity.Shorten(a.NameID))
	}
	switch want := sp.config.NameIDFormat; {
	case want != "" && a.NameIDFormat != want:
		return fmt.Errorf("the NameID has another format: %q, want %q: let the identity provider send that, or change nameIDFormat", identity.Shorten(a.NameIDFormat), want)
	case want == "" && a.NameIDFormat == transient, a.NameIDFormat == encryptedID:
		return fmt.Errorf("the NameID is another at every login: %q: let the identity provider send a lasting one, such as persistent or emailAddress", a.NameIDFormat)
	}
	if by := attribute(element, "NameQualifier"); by != "" && by != sp.idp.EntityID {
		return fmt.Errorf("the NameID is of another's users: NameQualifier is %q, want %q or none", identity.Shorten(by), sp.idp.EntityID)
	}
	if to := attribute(element, "SPNameQualifier"); to != "" && to != sp.config.EntityID {
		return fmt.Errorf("the NameID is for others: SPNameQualifier is %q, want %q or none", identity.Shorten(to), sp.config.EntityID)
	}
	return nil
}

func (sp *ServiceProvider) checkConfirmation(confirmation *etree.Element, requestID string) error {
	if method := attribute(confirmation, "Method"); method != bearer {
		return fmt.Errorf("the subject is confirmed in another way: %q, want %q", identity.Shorten(method), bearer)
	}
	data := find(confirmation, assertion("SubjectConfirmationData"))
	if to := attribute(data, "Recipient"); to != sp.config.ACSURL {
		return fmt.Errorf("the assertion is for another place: Recipient is %q, want %q", identity.Shorten(to), sp.config.ACSURL)
	}
	if attribute(data, "InResponseTo") != requestID {
		return errors.New("the assertion answers another request: log in again, beginning at the login portal")
	}
	return nil
}

// readTimes reads when the assertion is in force. All its limits hold, each with the
// clock skew.
func (sp *ServiceProvider) readTimes(element, data, limits *etree.Element, now time.Time, a *Assertion) (time.Time, error) {
	statement := find(element, assertion("AuthnStatement"))
	var issued, begin, end, confirmed time.Time
	for _, one := range []struct {
		element *etree.Element
		key     string
		into    *time.Time
	}{
		{element, "IssueInstant", &issued},
		{limits, "NotBefore", &begin},
		{limits, "NotOnOrAfter", &end},
		{data, "NotOnOrAfter", &confirmed},
		{statement, "AuthnInstant", &a.AuthnInstant},
	} {
		var err error
		if *one.into, err = instant(one.element, one.key); err != nil {
			return now, err
		}
	}
	if attribute(statement, "SessionNotOnOrAfter") != "" {
		var err error
		if a.SessionNotOnOrAfter, err = instant(statement, "SessionNotOnOrAfter"); err != nil {
			return now, err
		}
	}
	if confirmed.Before(end) {
		end = confirmed
	}
	skew := sp.config.ClockSkew
	a.NotOnOrAfter = end.Add(skew)
	for _, earliest := range []time.Time{issued, begin, a.AuthnInstant} {
		if now.Add(skew).Before(earliest) {
			return now, fmt.Errorf("the assertion is not in force yet: before %s: check the clocks, or set clockSkewSeconds", earliest.UTC().Format(time.RFC3339))
		}
	}
	switch {
	case !now.Before(a.NotOnOrAfter):
		return now, fmt.Errorf("the assertion has expired: at %s: log in again, or check the clocks", end.UTC().Format(time.RFC3339))
	case !a.SessionNotOnOrAfter.IsZero() && !now.Before(a.SessionNotOnOrAfter.Add(skew)):
		return now, fmt.Errorf("the identity provider's session has ended: at %s: log in again", a.SessionNotOnOrAfter.UTC().Format(time.RFC3339))
	case end.Sub(now) > maxWindow:
		return now, fmt.Errorf("the assertion is good for more than %s: let the identity provider issue it for minutes", maxWindow)
	}
	switch {
	case now.Before(begin):
		return begin, nil
	case !now.Before(end):
		return end.Add(-time.Millisecond), nil
	}
	return now, nil
}

// instant is an attribute that must be an instant.
func instant(element *etree.Element, key string) (time.Time, error) {
	parsed, err := time.Parse(time.RFC3339, attribute(element, key))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s of <%s> is missing or no instant: %q", key, element.Tag, identity.Shorten(attribute(element, key)))
	}
	return parsed, nil
}

// readAttributes reads the attributes. Those of one name and format are one, since some
// identity providers write each value as an attribute of its own; of one name and two
// formats, nobody knows which is meant.
func readAttributes(statement *etree.Element, a *Assertion) error {
	if statement == nil {
		return nil
	}
	places, values := map[string]int{}, 0
	for _, element := range all(statement, assertion("Attribute")) {
		key := attribute(element, "Name")
		if key == "" || len(key) > maxName || strings.ContainsFunc(key, unicode.IsControl) {
			return fmt.Errorf("an attribute has no name, one of more than %d bytes, or one with control characters: %q", maxName, identity.Shorten(key))
		}
		if err := checkName(key); err != nil {
			return err
		}
		place, known := places[key]
		if !known {
			place = len(a.Attributes)
			places[key] = place
			a.Attributes = append(a.Attributes, Attribute{Name: key, format: attribute(element, "NameFormat")})
		}
		into := &a.Attributes[place]
		if into.format != attribute(element, "NameFormat") {
			return fmt.Errorf("there are two attributes of one name and different formats: %q", identity.Shorten(key))
		}
		for _, value := range all(element, assertion("AttributeValue")) {
			into.Values = append(into.Values, text(value))
			values++
			if values > maxValues || len(text(value)) > maxValue {
				return fmt.Errorf("attribute %q is too large: at most %d values in all, and %d bytes each, are allowed: let the identity provider send fewer groups",
					identity.Shorten(key), maxValues, maxValue)
			}
		}
	}
	if len(a.Attributes) > maxAttributeNo {
		return fmt.Errorf("there are %d attributes, at most %d are allowed: let the identity provider send fewer", len(a.Attributes), maxAttributeNo)
	}
	return nil
}
