// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidctest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Server is an issuer that listens on loopback over TLS.
type Server struct {
	*Issuer
	// CertificateAuthorityPEM proves the server.
	CertificateAuthorityPEM []byte

	server *http.Server
	ended  chan error
}

// Start runs an issuer with a new key on a free port. Call Close.
func Start() (*Server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start issuer: %w", err)
	}
	authority, err := NewAuthority("oidctest")
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	certificate, err := authority.Issue("127.0.0.1", "localhost")
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	key, err := NewKey()
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	issuer, err := New("https://"+listener.Addr().String(), key)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &Server{
		Issuer: issuer, CertificateAuthorityPEM: authority.CertificatePEM(), ended: make(chan error, 1),
		server: &http.Server{
			Handler: issuer, ReadHeaderTimeout: 5 * time.Second,
			// Tests refuse its certificate on purpose.
			ErrorLog: log.New(io.Discard, "", 0),
		},
	}
	s.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	go func() { s.ended <- s.server.ServeTLS(listener, "", "") }()
	return s, nil
}

// Close stops the server and waits for it.
func (s *Server) Close() error {
	err := s.server.Close()
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// Authority is a certificate authority that lives as long as a test or a
// playground.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// certificateLifetime is that of everything an Authority signs, and its own.
const certificateLifetime = 30 * 24 * time.Hour

// NewAuthority makes a self-signed authority.
func NewAuthority(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make authority: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	raw, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("cannot make authority: %w", err)
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// NewAuthorityPEM makes an authority and returns what ParseAuthority reads.
func NewAuthorityPEM(name string) (certificatePEM, keyPEM []byte, err error) {
	a, err := NewAuthority(name)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot encode authority: %w", err)
	}
	return a.CertificatePEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}

// ParseAuthority reads an authority from its PEM certificate and key.
func ParseAuthority(certificatePEM, keyPEM []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("invalid authority: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("invalid authority: %q is no certificate authority", pair.Leaf.Subject.CommonName)
	}
	return &Authority{certificate: pair.Leaf, key: key}, nil
}

// CertificatePEM is the authority's own certificate.
func (a *Authority) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// Issue makes a serving certificate for host names and IP addresses.
func (a *Authority) Issue(hosts ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make certificate: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: hosts[0]}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	raw, err := sign(template, a.certificate, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{raw, a.certificate.Raw}, PrivateKey: key}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("cannot make certificate: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(certificateLifetime)
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("cannot make certificate: %w", err)
	}
	return raw, nil
}
