// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer is the OpenID Connect issuer of the playground. It makes
// tokens for anybody, listens on loopback only, and is in no image.
//
// The signing key is a file that only its owner may read. Whoever can read it
// can make tokens without a running issuer, so there is no endpoint that hands
// them out to anybody else: who logs in by a browser shows such a token.
package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/doorward/doorward/test/oidctest"
)

// Config is what an issuer needs.
type Config struct {
	// Address is the loopback IP address and port to listen on; the issuer's
	// URL is https:// and this.
	Address string
	// AuthorityCertificatePEM and AuthorityKeyPEM sign the serving certificate.
	// Only Listen needs them.
	AuthorityCertificatePEM, AuthorityKeyPEM []byte
	// KeyFile holds the signing key, PKCS #8 in PEM, mode 0600. It is made
	// where it does not exist.
	KeyFile string
	// Audience and Lifetime are those of a token that asks for none.
	Audience string
	Lifetime time.Duration
}

// Issuer issues tokens and can serve their keys.
type Issuer struct {
	config Config
	key    crypto.Signer
	issuer *oidctest.Issuer
}

// Open reads or makes the signing key.
func Open(config Config) (*Issuer, error) {
	address, err := netip.ParseAddrPort(config.Address)
	if err != nil || !address.Addr().IsLoopback() {
		return nil, fmt.Errorf("invalid issuer address: want a loopback IP address and a port: %q", config.Address)
	}
	if config.Audience == "" || config.Lifetime <= 0 {
		return nil, errors.New("invalid issuer: want an audience and a lifetime")
	}
	key, err := loadOrMakeKey(config.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot open signing key: %w", err)
	}
	issuer, err := oidctest.New("https://"+config.Address, key)
	if err != nil {
		return nil, err
	}
	return &Issuer{config: config, key: key, issuer: issuer}, nil
}

// URL is the iss claim of the tokens and where discovery begins.
func (i *Issuer) URL() string { return i.issuer.URL() }

// Request is whom a token is for.
type Request struct {
	User   string
	Groups []string
	// Kind is Human, Workload or Agent; absent from the token where empty.
	Kind string
	// Audience and Lifetime override the issuer's.
	Audience string
	Lifetime time.Duration
}

// Token makes a token. The user is in the claims sub, preferred_username and,
// with the domain example.com, email; the groups are in groups.
func (i *Issuer) Token(request Request) (string, error) {
	if request.User == "" {
		return "", errors.New("cannot make token: want a user name")
	}
	if request.Audience == "" {
		request.Audience = i.config.Audience
	}
	if request.Lifetime == 0 {
		request.Lifetime = i.config.Lifetime
	}
	claims := map[string]any{
		"sub": request.User, "preferred_username": request.User,
		"email": request.User + "@example.com", "email_verified": true,
		"aud": request.Audience, "exp": time.Now().Add(request.Lifetime).Unix(),
	}
	if len(request.Groups) > 0 {
		claims["groups"] = request.Groups
	}
	if request.Kind != "" {
		claims["kind"] = request.Kind
	}
	return i.issuer.Token(claims)
}

// Listen opens the issuer's TLS listener.
func (i *Issuer) Listen(ctx context.Context) (net.Listener, error) {
	authority, err := oidctest.ParseAuthority(i.config.AuthorityCertificatePEM, i.config.AuthorityKeyPEM)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(i.config.Address)
	if err != nil {
		return nil, fmt.Errorf("invalid issuer address: %w", err)
	}
	certificate, err := authority.Issue(host, "localhost")
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", i.config.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"},
	}), nil
}

// shutdownTime bounds the end of requests under way.
const shutdownTime = 2 * time.Second

// Serve serves discovery and keys on a listener of Listen until ctx ends.
func (i *Issuer) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: i.issuer, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("issuer ended: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err := server.Shutdown(bounded)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

const keyType = "PRIVATE KEY"

func loadOrMakeKey(path string) (crypto.Signer, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may use the key: %q has mode %#o, want 0600", path, info.Mode().Perm())
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != keyType {
		return nil, fmt.Errorf("no %s in the file: %q", keyType, path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("invalid key: %q: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("invalid key: want an ECDSA key: %q", path)
	}
	return key, nil
}

func makeKey(path string) (crypto.Signer, error) {
	key, err := oidctest.NewKey()
	if err != nil {
		return nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	// O_EXCL: of two that make the key at once, one must read the other's.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return loadOrMakeKey(path)
	}
	if err != nil {
		return nil, err
	}
	return key, errors.Join(pem.Encode(file, &pem.Block{Type: keyType, Bytes: raw}), file.Close())
}
