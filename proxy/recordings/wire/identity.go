// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"time"
)

// The manager proves itself to proxies by a certificate that its snapshot key has
// signed, whose public half each proxy was given outside of the cluster's objects. What
// the key signs else begins with a text of its own, a certificate with the DER of one:
// neither can be taken for the other.
const (
	// identityLife is short, as the certificate is made anew for each connection.
	identityLife = 10 * time.Minute
	// identitySkew is how far the clocks may be apart.
	identitySkew = 5 * time.Minute
)

// purpose is the name in the certificate: it is good for nothing else.
var purpose = &url.URL{Scheme: "doorward", Opaque: "manager:recordings"}

// Identity makes the manager's certificate for a connection to a proxy.
func Identity(key ed25519.PrivateKey, now time.Time) (tls.Certificate, error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make the manager's key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a serial number: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "doorward-manager"}, URIs: []*url.URL{purpose},
		NotBefore: now.Add(-identitySkew), NotAfter: now.Add(identityLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "doorward-snapshot-key"}, PublicKey: key.Public()}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, own.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot sign the manager's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}, nil
}

// Verify says why a client is not the manager, or nil. TLS has proven that it has the
// certificate's key.
func Verify(chain []*x509.Certificate, key ed25519.PublicKey, now time.Time) error {
	if len(chain) != 1 {
		return fmt.Errorf("the manager shows one certificate: %d", len(chain))
	}
	c := chain[0]
	signed := len(key) == ed25519.PublicKeySize && c.SignatureAlgorithm == x509.PureEd25519 && ed25519.Verify(key, c.RawTBSCertificate, c.Signature)
	switch {
	case !signed:
		return errors.New("the client's certificate is not signed by the manager's snapshot key")
	case now.Before(c.NotBefore.Add(-identitySkew)) || now.After(c.NotAfter.Add(identitySkew)):
		return errors.New("the manager's certificate is not valid now: look at the clocks of manager and proxy")
	case len(c.URIs) != 1 || c.URIs[0].String() != purpose.String() || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || c.IsCA:
		return errors.New("the manager's certificate is for another purpose")
	}
	return nil
}
