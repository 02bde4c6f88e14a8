// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package saml is a SAML 2.0 service provider for browser logins (saml-profiles-2.0-os
// section 4.1): it makes signed requests and its own metadata, and reads responses. It
// starts no login by itself, keeps nothing and knows no clock: who calls it remembers
// which requests were made and which assertions were used.
//
// A response is refused unless its every element is where the profile puts it, and is
// there once. What is read of it comes from bytes that were canonicalised and verified,
// never from the document that arrived. gosaml2 reads the same response on its own, and
// must come to the same caller.
package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// ErrRejected is wrapped by every error of a response that is refused.
var ErrRejected = errors.New("SAML response rejected")

// Config says who the service provider is, and whose assertions it takes.
type Config struct {
	// EntityID is the service provider's own: the one audience of an assertion.
	EntityID string
	// ACSURL is the https URL that responses are posted to (assertion consumer service).
	ACSURL string
	// Metadata is the identity provider's document; IdPEntityID must be the entityID
	// in it.
	Metadata    []byte
	IdPEntityID string //nolint:staticcheck // SAML spells it so.
	// NameIDFormat is asked for, and must be that of the NameID. Empty means that any
	// but transient is taken.
	NameIDFormat string
	// EncryptionRequired refuses assertions that are not encrypted.
	EncryptionRequired bool
	// ClockSkew is by how much the identity provider's clock may differ, at most 5
	// minutes.
	ClockSkew time.Duration
	// Key signs requests and decrypts assertions: RSA, at least 2048 bits. Certificate
	// is what the identity provider knows it by.
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// maxClockSkew is that of IdentityProvider.
const maxClockSkew = 5 * time.Minute

// minKeyBits is the least of RSA keys, ours and theirs (NIST SP 800-131A).
const minKeyBits = 2048

// ServiceProvider talks to one identity provider. It is safe for concurrent use.
type ServiceProvider struct {
	config Config
	idp    *IdentityProvider
}

// New makes a ServiceProvider. The error names what of Config is wrong.
func New(config Config) (*ServiceProvider, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("invalid SAML service provider: %w", err)
	}
	idp, err := ParseMetadata(config.Metadata, config.IdPEntityID)
	if err != nil {
		return nil, err
	}
	return &ServiceProvider{config: config, idp: idp}, nil
}

func (c *Config) validate() error {
	if c.EntityID == "" || c.IdPEntityID == "" || c.EntityID == c.IdPEntityID {
		return fmt.Errorf("want two entity IDs, ours and the identity provider's: %q, %q", c.EntityID, c.IdPEntityID)
	}
	if err := checkHTTPS(c.ACSURL); err != nil {
		return fmt.Errorf("invalid URL of the assertion consumer service: %w", err)
	}
	if c.ClockSkew < 0 || c.ClockSkew > maxClockSkew {
		return fmt.Errorf("invalid clock skew: want 0 to %s: %s", maxClockSkew, c.ClockSkew)
	}
	if c.Key == nil || c.Certificate == nil || c.Key.N.BitLen() < minKeyBits {
		return fmt.Errorf("want an RSA key of at least %d bits and its certificate", minKeyBits)
	}
	if !c.Key.PublicKey.Equal(c.Certificate.PublicKey) {
		return errors.New("the certificate is of another key")
	}
	return nil
}

// checkHTTPS admits https URLs without a fragment or user information.
func checkHTTPS(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" {
		return fmt.Errorf("want https:// and a host, no fragment and no user: %q", text)
	}
	return nil
}
