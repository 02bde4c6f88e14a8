// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testcert makes the certificates of test servers and test users. Its authorities
// live as long as a test run; nothing of the product imports it.
package testcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of everything made here; skew is how far the clocks of two processes may differ.
const (
	lifetime = 24 * time.Hour
	skew     = 5 * time.Minute
)

// CA is a certificate authority.
type CA struct {
	certificate *x509.Certificate
	key         crypto.Signer
	// PEM is the certificate to trust.
	PEM []byte
}

// Pair is a certificate and its private key, PEM encoded (PKCS #8 for the key).
type Pair struct {
	CertPEM []byte
	KeyPEM  []byte
}

// Request says what a certificate is for.
type Request struct {
	// CommonName is the user name of a client certificate.
	CommonName string
	// Groups become the organizations, which kube-apiserver reads as groups.
	Groups []string
	// DNSNames and IPs of a server; a request with neither is a client's.
	DNSNames []string
	IPs      []net.IP
	// NotBefore and NotAfter override the ordinary validity, for tests of expiry.
	NotBefore, NotAfter time.Time
}

// NewCA makes an authority with an ECDSA P-256 key.
func NewCA(name string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make the key of authority %q: %w", name, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign authority %q: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("cannot read authority %q back: %w", name, err)
	}
	return &CA{certificate: certificate, key: key, PEM: encode("CERTIFICATE", der)}, nil
}

// Issue signs a certificate for the request.
func (c *CA) Issue(request Request) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot make the key of %q: %w", request.CommonName, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: request.CommonName, Organization: request.Groups},
		NotBefore:    now.Add(-skew),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames:     request.DNSNames,
		IPAddresses:  request.IPs,
	}
	if len(request.DNSNames)+len(request.IPs) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if !request.NotBefore.IsZero() {
		template.NotBefore = request.NotBefore
	}
	if !request.NotAfter.IsZero() {
		template.NotAfter = request.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, key.Public(), c.key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot sign the certificate of %q: %w", request.CommonName, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot encode the key of %q: %w", request.CommonName, err)
	}
	return Pair{CertPEM: encode("CERTIFICATE", der), KeyPEM: encode("PRIVATE KEY", keyDER)}, nil
}

// Pair returns the authority's own certificate and key, for servers that sign with it.
func (c *CA) Pair() (Pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot encode the key of the authority: %w", err)
	}
	return Pair{CertPEM: c.PEM, KeyPEM: encode("PRIVATE KEY", der)}, nil
}

// WriteSigningKey writes a new key, mode 0600, with which kube-apiserver signs the tokens of
// service accounts.
func WriteSigningKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make the service account key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("cannot encode the service account key: %w", err)
	}
	// kube-apiserver derives the public key from this form only, not from PKCS #8.
	if err := os.WriteFile(path, encode("EC PRIVATE KEY", der), 0o600); err != nil {
		return fmt.Errorf("cannot write the service account key: %w", err)
	}
	return nil
}

// Write puts <name>.crt and <name>.key (mode 0600) into dir and returns their paths.
func (p Pair) Write(dir, name string) (certPath, keyPath string, err error) {
	certPath, keyPath = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if err := os.WriteFile(certPath, p.CertPEM, 0o644); err != nil {
		return "", "", fmt.Errorf("cannot write a certificate: %w", err)
	}
	if err := os.WriteFile(keyPath, p.KeyPEM, 0o600); err != nil {
		return "", "", fmt.Errorf("cannot write a key: %w", err)
	}
	return certPath, keyPath, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// serial returns 159 random bits, within the 20 octets of RFC 5280 section 4.1.2.2.
func serial() *big.Int {
	octets := make([]byte, 20)
	_, _ = rand.Read(octets) // never fails, see crypto/rand
	octets[0] &= 0x7f
	return new(big.Int).SetBytes(octets)
}
