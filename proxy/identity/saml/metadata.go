// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of an identity provider's metadata; the size is that of the API.
const (
	maxMetadata     = 64 << 10
	maxCertificates = 8
)

// Bindings (saml-bindings-2.0-os sections 3.4 and 3.5).
const (
	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPOST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// IdentityProvider is what metadata says of an identity provider.
type IdentityProvider struct {
	// EntityID is its name.
	EntityID string
	// Certificates are those that its signatures are checked with. Each counts while it
	// is valid.
	Certificates []*x509.Certificate
	// ValidUntil is until when the metadata may be used; zero where it does not say.
	ValidUntil time.Time

	// binding and location are where requests go.
	binding, location string
}

// UsableUntil is from when on no signature can be checked any more: the end of the
// metadata, or of the certificate that lasts longest.
func (p *IdentityProvider) UsableUntil() time.Time {
	var last time.Time
	for _, certificate := range p.Certificates {
		if certificate.NotAfter.After(last) {
			last = certificate.NotAfter
		}
	}
	if !p.ValidUntil.IsZero() && p.ValidUntil.Before(last) {
		return p.ValidUntil
	}
	return last
}

// The part of saml-metadata-2.0-os that a service provider needs. Elements are by their
// namespaces, lists where there must be one, so that two are seen.
const md = "urn:oasis:names:tc:SAML:2.0:metadata"

type entityDescriptor struct {
	XMLName    xml.Name           `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	EntityID   string             `xml:"entityID,attr"`
	ValidUntil string             `xml:"validUntil,attr"`
	IDP        []idpSSODescriptor `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

type idpSSODescriptor struct {
	Protocols  string `xml:"protocolSupportEnumeration,attr"`
	ValidUntil string `xml:"validUntil,attr"`
	Keys       []struct {
		Use          string   `xml:"use,attr"`
		Certificates []string `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>X509Data>X509Certificate"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
	SSO []struct {
		Binding  string `xml:"Binding,attr"`
		Location string `xml:"Location,attr"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata SingleSignOnService"`
}

// ParseMetadata reads an identity provider's metadata: one EntityDescriptor of that
// entityID. Who wrote it into the IdentityProvider is trusted with it, so that a
// signature on it is not looked at.
func ParseMetadata(document []byte, entityID string) (*IdentityProvider, error) {
	p, err := parseMetadata(document, entityID)
	if err != nil {
		return nil, fmt.Errorf("invalid metadata: %w", err)
	}
	return p, nil
}

func parseMetadata(document []byte, entityID string) (*IdentityProvider, error) {
	if len(document) > maxMetadata {
		return nil, fmt.Errorf("too large: %d bytes, at most %d are allowed: leave out RoleDescriptors and the document's own signature", len(document), maxMetadata)
	}
	if err := plainMetadata(document); err != nil {
		return nil, err
	}
	var entity entityDescriptor
	if err := xml.Unmarshal(document, &entity); err != nil {
		return nil, fmt.Errorf("want one EntityDescriptor (%s): %w", md, err)
	}
	if entity.EntityID != entityID {
		return nil, fmt.Errorf("it is of another identity provider: entityID is %q in metadata, and %q beside it", entity.EntityID, entityID)
	}
	if len(entity.IDP) != 1 || !slices.Contains(strings.Fields(entity.IDP[0].Protocols), protocolNamespace) {
		return nil, fmt.Errorf("want one IDPSSODescriptor that supports %s; there are %d IDPSSODescriptors", protocolNamespace, len(entity.IDP))
	}
	idp := entity.IDP[0]
	p := &IdentityProvider{EntityID: entityID}
	var err error
	if p.ValidUntil, err = earliest(entity.ValidUntil, idp.ValidUntil); err != nil {
		return nil, err
	}
	for _, key := range idp.Keys {
		if key.Use == "encryption" {
			continue
		}
		for _, text := range key.Certificates {
			certificate, err := parseCertificate(text)
			if err != nil {
				return nil, fmt.Errorf("signing certificate: %w", err)
			}
			if !slices.ContainsFunc(p.Certificates, certificate.Equal) {
				p.Certificates = append(p.Certificates, certificate)
			}
		}
	}
	if len(p.Certificates) == 0 || len(p.Certificates) > maxCertificates {
		return nil, fmt.Errorf("want 1 to %d signing certificates (KeyDescriptor use=\"signing\" with an X509Certificate): %d", maxCertificates, len(p.Certificates))
	}
	for _, binding := range []string{bindingRedirect, bindingPOST} {
		for _, sso := range idp.SSO {
			if p.binding != "" || sso.Binding != binding {
				continue
			}
			if err := checkHTTPS(sso.Location); err != nil {
				return nil, fmt.Errorf("invalid Location of SingleSignOnService: %w", err)
			}
			p.binding, p.location = binding, sso.Location
		}
	}
	if p.binding == "" {
		return nil, errors.New("want a SingleSignOnService with the HTTP-Redirect or HTTP-POST binding")
	}
	return p, nil
}

// plainMetadata refuses what makes XML more than what is written in it: a DOCTYPE, and
// with it entities, and a second root.
func plainMetadata(document []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(document))
	depth, roots := 0, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("no XML: %w", err)
		}
		switch token := token.(type) {
		case xml.Directive:
			return errors.New("a DOCTYPE does not belong there: remove it")
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			if depth > maxDepth || roots > 1 {
				return fmt.Errorf("want one root, and elements in each other at most %d deep", maxDepth)
			}
			if err := uniqueAttributes(token); err != nil {
				return err
			}
		case xml.EndElement:
			depth--
		}
	}
}

func earliest(texts ...string) (time.Time, error) {
	var first time.Time
	for _, text := range texts {
		if text == "" {
			continue
		}
		instant, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return first, fmt.Errorf("validUntil is no instant: %q", text)
		}
		if first.IsZero() || instant.Before(first) {
			first = instant
		}
	}
	return first, nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("no base64")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("no X.509 certificate")
	}
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= minKeyBits {
			return certificate, nil
		}
		return nil, fmt.Errorf("an RSA key of %d bits, at least %d are needed: let the identity provider make a new key", key.N.BitLen(), minKeyBits)
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize >= 256 {
			return certificate, nil
		}
		return nil, fmt.Errorf("an ECDSA key on %s: want P-256 or larger", key.Curve.Params().Name)
	}
	return nil, fmt.Errorf("want an RSA or ECDSA key: %s", certificate.PublicKeyAlgorithm)
}
