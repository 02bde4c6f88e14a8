// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	saml2 "github.com/russellhaering/gosaml2"
	xmldsig "github.com/russellhaering/goxmldsig"

	"github.com/doorward/doorward/proxy/identity"
)

// errDisagree is about a response that is verified already, so that nobody learns
// anything of its decryption from what follows.
var errDisagree = errors.New("two readers of SAML do not agree on it")

// agree asks gosaml2 about the same response, at an instant at which the assertion is in
// force: it finds signatures, decrypts and reads in its own way. An attack that misleads
// the one of us is found by the other.
func (sp *ServiceProvider) agree(encoded string, a *Assertion, at time.Time) error {
	other := &saml2.SAMLServiceProvider{
		IdentityProviderIssuer:      sp.idp.EntityID,
		AssertionConsumerServiceURL: sp.config.ACSURL,
		AudienceURI:                 sp.config.EntityID,
		IDPCertificateStore:         &xmldsig.MemoryX509CertificateStore{Roots: sp.idp.Certificates},
		SPKeyStore: xmldsig.TLSCertKeyStore(tls.Certificate{
			Certificate: [][]byte{sp.config.Certificate.Raw}, PrivateKey: sp.config.Key,
		}),
		AllowMissingAttributes:      true,
		MaximumDecompressedBodySize: maxResponse,
		MaximumXMLTokens:            3*2*maxElements + 1,
		Clock:                       xmldsig.NewFakeClockAt(at),
	}
	info, err := other.RetrieveAssertionInfo(encoded)
	switch {
	case err != nil:
		return fmt.Errorf("%w: gosaml2: %q", errDisagree, identity.Shorten(err.Error()))
	case len(info.Assertions) != 1:
		return fmt.Errorf("%w: gosaml2: %d assertions", errDisagree, len(info.Assertions))
	// These are no errors of gosaml2's.
	case info.WarningInfo.InvalidTime, info.WarningInfo.NotInAudience:
		return fmt.Errorf("%w: gosaml2: not in force, or for another audience", errDisagree)
	}
	if info.Assertions[0].ID != a.ID || info.NameID != a.NameID || info.NameIDFormat != a.NameIDFormat {
		return errDisagree
	}
	values := map[string][]string{}
	if statement := info.Assertions[0].AttributeStatement; statement != nil {
		for _, attribute := range statement.Attributes {
			for _, value := range attribute.Values {
				values[attribute.Name] = append(values[attribute.Name], value.Value)
			}
		}
	}
	for _, attribute := range a.Attributes {
		if !slices.Equal(values[attribute.Name], attribute.Values) {
			return errDisagree
		}
	}
	return nil
}
