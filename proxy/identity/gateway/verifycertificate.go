// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/doorward/doorward/proxy/identity"
)

// MaxCertificateBytes bounds a client certificate, and an SSH certificate, before it is
// read: that of the largest Statement is smaller.
const MaxCertificateBytes = 16 << 10

// Certificate proves a Statement by a client certificate in DER, whose key the caller has
// proven to hold. Errors wrap identity.ErrForeign where no key of the manager's has signed
// it, else identity.ErrRejected. Nothing is read of a certificate's names, and no chain is
// built: a certificate of the manager's is a leaf, and issues no other.
func (v *Verifier) Certificate(der []byte) (Statement, error) {
	if v.closed != "" {
		return Statement{}, v.refuse(der)
	}
	certificate, kid, err := v.signed(der)
	if err != nil {
		return Statement{}, err
	}
	s, err := statementOf(certificate)
	s.KeyID = kid
	return v.judged(s, err)
}

// refuse says why no credential is good. Where keys are missing, nobody can tell who has signed
// a certificate: one with a statement is for here, and all others are somebody else's.
func (v *Verifier) refuse(der []byte) error {
	if len(der) > MaxCertificateBytes {
		return fmt.Errorf("%w: it has %d bytes", identity.ErrForeign, len(der))
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil || len(statementsIn(certificate)) == 0 {
		return identity.ErrForeign
	}
	return rejected(errors.New(v.closed))
}

// signed finds the manager's key that has signed a certificate.
func (v *Verifier) signed(der []byte) (*x509.Certificate, string, error) {
	if len(der) > MaxCertificateBytes {
		return nil, "", fmt.Errorf("%w: it has %d bytes", identity.ErrForeign, len(der))
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil || certificate.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		return nil, "", identity.ErrForeign
	}
	for kid, key := range v.keys {
		// The authority's key id only saves looking at what others have signed.
		id, err := hex.DecodeString(kid)
		if err != nil || string(id[:keyIDBytes]) != string(certificate.AuthorityKeyId) {
			continue
		}
		// CheckSignatureFrom would be for an authority's certificate, of which there is
		// none.
		issuer := &x509.Certificate{PublicKey: key, PublicKeyAlgorithm: x509.ECDSA}
		if issuer.CheckSignature(x509.ECDSAWithSHA256, certificate.RawTBSCertificate, certificate.Signature) == nil {
			return certificate, kid, nil
		}
	}
	return nil, "", identity.ErrForeign
}

// statementOf reads a certificate that the manager has signed.
func statementOf(c *x509.Certificate) (Statement, error) {
	s := Statement{IssuedAt: c.NotBefore, ExpiresAt: c.NotAfter}
	switch {
	case c.IsCA:
		return s, errors.New("the certificate is an authority's, and no client's")
	case len(c.UnhandledCriticalExtensions) > 0:
		return s, fmt.Errorf("the certificate has a critical extension that this proxy does not know: %s: upgrade the proxy to the manager's version", c.UnhandledCriticalExtensions[0])
	case len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || len(c.UnknownExtKeyUsage) > 0:
		return s, errors.New("the certificate is not for clients alone: want the extended key usage clientAuth")
	case c.KeyUsage != x509.KeyUsageDigitalSignature:
		return s, errors.New("the certificate is not for signatures alone: want the key usage digitalSignature")
	}
	found := statementsIn(c)
	if len(found) != 1 {
		return s, fmt.Errorf("the certificate has %d statements, want one", len(found))
	}
	err := s.stated(found[0])
	return s, err
}

func statementsIn(c *x509.Certificate) (found [][]byte) {
	for _, extension := range c.Extensions {
		if extension.Id.Equal(StatementExtension) {
			found = append(found, extension.Value)
		}
	}
	return found
}
