// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package devicelogin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/egress"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Bounds of one question to the portal.
const (
	askTimeout  = 5 * time.Second
	maxAnswer   = 64 << 10
	maxTold     = 300
	portalConns = 8
)

// clientOf is the client that asks a portal: over TLS, by its authorities alone, following
// nobody elsewhere, since what it carries is the portal's alone.
func (l *Logins) clientOf(at snapshot.LoginPortal, now time.Time) (*http.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil && l.at == at {
		if now.Before(l.until) {
			return nil, l.silent
		}
		return l.client, nil
	}
	if parsed, err := url.Parse(at.URL); err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.Path != "" {
		return nil, fmt.Errorf("invalid URL of the login portal: want https://host: %q: see --login-url of the manager", at.URL)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if at.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(at.CA)) {
			return nil, errors.New("invalid authorities of the login portal: want at least one PEM certificate: see --login-ca of the manager")
		}
	}
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
	l.silent, l.until = nil, time.Time{}
	l.at, l.client = at, &http.Client{
		Timeout: askTimeout,
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			DialContext:     (&net.Dialer{Timeout: askTimeout, Control: egress.Control}).DialContext,
			TLSClientConfig: config, TLSHandshakeTimeout: askTimeout, ResponseHeaderTimeout: askTimeout, MaxResponseHeaderBytes: maxAnswer,
			MaxConnsPerHost: portalConns, MaxIdleConnsPerHost: portalConns, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return l.client, nil
}

// portal is one login portal.
type portal struct {
	client *http.Client
	url    string
}

// answer is what it answers: RFC 8628 sections 3.2 and 3.5, RFC 6749 sections 5.1 and 5.2.
type answer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"`
	Interval   int64  `json:"interval"`

	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`

	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// slowDown is the error code of whoever asks too often (RFC 8628 section 3.5).
const slowDown = "slow_down"

// refusal is the error of an answer that says no for good, in the portal's words.
func (a *answer) refusal() error {
	text := a.Description
	if text == "" {
		text = a.Error
	}
	if len(text) > maxTold {
		text = strings.ToValidUTF8(text[:maxTold], "") + "..."
	}
	return fmt.Errorf("%w: the login portal says: %s", access.ErrLoginDenied, text)
}

// post asks the portal. An error says that it has not answered, or cannot now; what it refuses
// is in the answer. No error holds what was sent.
func (p portal) post(ctx context.Context, path string, form url.Values) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the login portal: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := p.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the login portal: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the login portal: %w", err)
	}
	if response.StatusCode == http.StatusTooManyRequests {
		// The portal's limit is one of hosts: others may be behind the same address.
		return &answer{Error: slowDown}, nil
	}
	a := &answer{}
	refused := response.StatusCode == http.StatusBadRequest || response.StatusCode == http.StatusUnauthorized
	if len(text) > maxAnswer || response.StatusCode != http.StatusOK && !refused || json.Unmarshal(text, a) != nil || refused != (a.Error != "") {
		return nil, fmt.Errorf("cannot ask the login portal: HTTP status %d from %s%s, and no answer of RFC 8628: is --login-url of the manager that of its portal?", response.StatusCode, p.url, path)
	}
	return a, nil
}
