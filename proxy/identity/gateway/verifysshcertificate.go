// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
)

// SSHCertificate proves a Statement by an SSH user certificate in wire form (OpenSSH,
// PROTOCOL.certkeys), whose key the caller has proven to hold. Errors wrap
// identity.ErrForeign for a plain key, and where no key of the manager's has signed the
// certificate; else identity.ErrRejected. Who somebody is, is in the Statement alone:
// nothing is read of principals, key id, serial and extensions.
func (v *Verifier) SSHCertificate(blob []byte) (Statement, error) {
	certificate, err := parseSSH(blob)
	if err != nil {
		return Statement{}, err
	}
	if v.closed != "" {
		// As in refuse: nobody can tell who has signed it.
		if _, stated := certificate.CriticalOptions[StatementOption]; !stated {
			return Statement{}, identity.ErrForeign
		}
		return Statement{}, rejected(errors.New(v.closed))
	}
	kid, ours := v.signedSSH(certificate)
	if !ours {
		return Statement{}, identity.ErrForeign
	}
	s, err := statementOfSSH(certificate)
	s.KeyID = kid
	return v.judged(s, err)
}

// parseSSH reads a certificate that is written as the manager writes it: what is signed is
// what is read.
func parseSSH(blob []byte) (*ssh.Certificate, error) {
	if len(blob) > MaxCertificateBytes {
		return nil, fmt.Errorf("%w: it has %d bytes", identity.ErrForeign, len(blob))
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, identity.ErrForeign
	}
	certificate, ok := key.(*ssh.Certificate)
	if !ok || !bytes.Equal(certificate.Marshal(), blob) {
		return nil, identity.ErrForeign
	}
	return certificate, nil
}

// signedSSH finds the manager's key that has signed a certificate.
func (v *Verifier) signedSSH(c *ssh.Certificate) (kid string, ours bool) {
	// A security key has ECDSA on P-256 too, and signs something else.
	if c.SignatureKey.Type() != ssh.KeyAlgoECDSA256 || c.Signature.Format != ssh.KeyAlgoECDSA256 || len(c.Signature.Rest) > 0 {
		return "", false
	}
	key, ok := c.SignatureKey.(ssh.CryptoPublicKey)
	if !ok {
		return "", false
	}
	kid, err := KeyID(key.CryptoPublicKey())
	if err != nil || v.keys[kid] == nil {
		return "", false
	}
	unsigned := *c
	unsigned.Signature = nil
	// What is signed ends before the signature, which is now the length of none.
	signed := unsigned.Marshal()
	return kid, c.SignatureKey.Verify(signed[:len(signed)-4], c.Signature) == nil
}

// statementOfSSH reads a certificate that the manager has signed.
func statementOfSSH(c *ssh.Certificate) (Statement, error) {
	s := Statement{}
	for option := range c.CriticalOptions {
		if option != StatementOption {
			return s, fmt.Errorf("the certificate has a critical option that this proxy does not know: %q: upgrade the proxy to the manager's version", identity.Shorten(option))
		}
	}
	text, stated := c.CriticalOptions[StatementOption]
	switch {
	case c.CertType != ssh.UserCert:
		return s, errors.New("the certificate is a host's, and no user's")
	case !stated:
		return s, fmt.Errorf("the certificate has no critical option %q", StatementOption)
	case len(c.Reserved) > 0:
		return s, errors.New("the certificate has something in its reserved field: upgrade the proxy to the manager's version")
	case c.ValidAfter == 0 || c.ValidAfter > lastSecond || c.ValidBefore > lastSecond:
		return s, errors.New("the certificate's validity is no span of time")
	}
	if err := checkPrincipals(c.ValidPrincipals); err != nil {
		return s, err
	}
	s.IssuedAt, s.ExpiresAt = time.Unix(int64(c.ValidAfter), 0), time.Unix(int64(c.ValidBefore), 0)
	err := s.stated([]byte(text))
	return s, err
}
