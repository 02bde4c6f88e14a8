// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ca is the manager's certificate authority. It signs the serving
// certificates of proxies and nothing else: its certificates are name
// constrained (RFC 5280 section 4.2.1.10), so that its key is of no use outside
// the names an administrator permits. The key lives in the operator's
// namespace; callers trust the bundle, which holds the present and the next
// authority, so that a rotation breaks nobody.
//
// Proxies that speak SSH prove themselves by host keys, which a second authority
// certifies (OpenSSH PROTOCOL.certkeys), with a key of its own, under the same
// constraints, and rotated alike. Its certificates are lines of known_hosts.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Lifetimes. A serving certificate is renewed when a third of its life is left.
const (
	AuthorityLife = 365 * 24 * time.Hour
	ServingLife   = 90 * 24 * time.Hour
)

// backdate allows for clocks that are a little behind.
const backdate = 5 * time.Minute

// Pair is a certificate with its key, both PEM; that of an SSH authority is a line of
// known_hosts with its key.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// Authority can sign.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes a key and a self-signed, name-constrained certificate.
func NewAuthority(constraints Constraints, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot make authority key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// The year and month make two authorities distinguishable to a reader;
		// verifiers go by the key id.
		Subject:                     pkix.Name{CommonName: "Doorward " + now.UTC().Format("2006-01-02")},
		NotBefore:                   now.Add(-backdate),
		NotAfter:                    now.Add(AuthorityLife),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         constraints.DNSDomains,
		PermittedIPRanges:           constraints.IPRanges,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot sign authority: %w", err)
	}
	return encodePair(der, key)
}

// Load parses an authority.
func Load(pair Pair) (*Authority, error) {
	certificate, err := parseCertificate(pair.Certificate)
	if err != nil {
		return nil, fmt.Errorf("cannot load authority: %w", err)
	}
	block, _ := pem.Decode(pair.Key)
	if block == nil {
		return nil, errors.New("cannot load authority: its key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("cannot load authority: its key is not PKCS #8")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, errors.New("cannot load authority: key and certificate do not belong together")
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// Issue signs a serving certificate for the names, which must be permitted.
func (a *Authority) Issue(names []string, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot make serving key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(ServingLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot sign serving certificate: %w", err)
	}
	return encodePair(der, key)
}

func serialNumber() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("cannot make serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

func encodePair(der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot encode key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}
