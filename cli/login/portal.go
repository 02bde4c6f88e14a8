// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// portalClient is what the login portal knows this plugin by.
	portalClient = "kubectl-doorward"
	// portalIssuer is the iss claim of the portal's tokens, wherever it is.
	portalIssuer = "https://doorward.dev/gateway"
)

// takeFromPortal puts the portal's token into the entry. It is for the proxies, which
// verify it; that it is the portal's, TLS has shown.
func (p *provider) takeFromPortal(got *oauth2.Token) error {
	if len(got.AccessToken) > maxToken {
		return fmt.Errorf("the portal's token is too long: %d bytes, a proxy takes %d", len(got.AccessToken), maxToken)
	}
	read, err := readClaims(got.AccessToken)
	if err != nil {
		return fmt.Errorf("the portal's token is not good: %w", shown(err))
	}
	if !read.expiry().After(time.Now()) {
		return errors.New("the portal's token has expired: is this machine's clock right?")
	}
	p.entry.IDToken = got.AccessToken
	p.entry.Credential, _ = got.Extra("credential").(string)
	return nil
}

// certificate changes the portal's token for a client certificate (RFC 8693) and writes it,
// with its key, into a folder. The key never leaves this machine.
func (p *provider) certificate(ctx context.Context, say io.Writer, folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return fmt.Errorf("cannot ask for a certificate: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("cannot encode the key: %w", err)
	}
	made, err := p.exchange(ctx, url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {p.entry.IDToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"requested_token_type": {"urn:doorward:params:oauth:token-type:x509"},
		"csr":                  {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))},
	})
	if err != nil {
		return err
	}
	if block, _ := pem.Decode([]byte(made.AccessToken)); block == nil || block.Type != "CERTIFICATE" {
		return errors.New("the portal gives no certificate: its answer holds none")
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return fmt.Errorf("cannot name the folder: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("cannot keep the certificate: %w", err)
	}
	certificateFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	// The key first: a client that finds a certificate finds its key.
	for _, file := range []struct {
		path string
		text []byte
	}{{keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})}, {certificateFile, []byte(made.AccessToken)}} {
		if err := replace(file.path, file.text); err != nil {
			return fmt.Errorf("cannot keep the certificate: %w", err)
		}
	}
	_, err = fmt.Fprintf(say, "Client certificate %s is in %s, its key in %s. With psql:\n\n  psql \"host=HOST dbname=NAME user=%s sslmode=verify-full sslrootcert=CA.crt sslcert=%s sslkey=%s\"\n\n",
		safe(made.Credential), certificateFile, keyFile, User(p.entry.IDToken), certificateFile, keyFile)
	return err
}

// exchanged is what the portal answers.
type exchanged struct {
	AccessToken string `json:"access_token"`
	Credential  string `json:"credential"`
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

// exchange asks the portal's token endpoint.
func (p *provider) exchange(ctx context.Context, form url.Values) (*exchanged, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.config.Endpoint.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := p.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the portal: %w", shown(err))
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the portal: %w", shown(err))
	}
	answer := &exchanged{}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("cannot ask the portal: HTTP status %d", response.StatusCode)
	}
	if response.StatusCode != http.StatusOK || answer.AccessToken == "" {
		return nil, fmt.Errorf("the portal gives no certificate: %s: %s", safe(answer.Code), safe(answer.Description))
	}
	return answer, nil
}

// Credentials are the names of the GatewayCredentials of the logins on this machine.
func Credentials() ([]string, error) {
	s, err := openStore()
	if err != nil {
		return nil, err
	}
	all, err := s.list()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if e.Credential != "" {
			names = append(names, e.Credential)
		}
		if e.SSH != nil {
			names = append(names, e.SSH.Credential)
		}
	}
	return names, nil
}
