// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/doorward/doorward/proxy/egress"
)

// Bounds of a request to an issuer.
const (
	requestTimeout   = 5 * time.Second
	maxResponseBytes = 1 << 20
	maxRedirects     = 3
)

// newClient makes the client for an issuer's documents. It follows redirects
// on the same host over TLS only, dials nothing that package egress forbids, reads at most
// maxResponseBytes, and keeps no connection: documents are asked for every few minutes at
// most.
func newClient(authorityPEM []byte) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(authorityPEM) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorityPEM) {
			return nil, errors.New("invalid certificate authority: want at least one PEM certificate")
		}
	}
	return &http.Client{
		Timeout: requestTimeout,
		Transport: bounded{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: requestTimeout, Control: egress.Control}).DialContext,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    requestTimeout,
			ResponseHeaderTimeout:  requestTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
		}},
		CheckRedirect: func(next *http.Request, past []*http.Request) error {
			first := past[0].URL
			if next.URL.Scheme != "https" || next.URL.Host != first.Host {
				return fmt.Errorf("refused redirect to another host: %q", next.URL.Host)
			}
			if len(past) > maxRedirects {
				return errors.New("refused redirect: too many")
			}
			return nil
		},
	}, nil
}

// bounded turns answers that are no document into errors, so that their bodies
// reach no error text, and limits the rest.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	redirect := response.StatusCode >= 300 && response.StatusCode < 400
	if response.StatusCode != http.StatusOK && !redirect {
		return nil, errors.Join(fmt.Errorf("unexpected status: %d", response.StatusCode), response.Body.Close())
	}
	response.Body = &limitedBody{body: response.Body, left: maxResponseBytes}
	return response, nil
}

// limitedBody fails, and does not end, at its limit: a document cut short
// must not pass for a whole one.
type limitedBody struct {
	body io.ReadCloser
	left int64
}

func (l *limitedBody) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("document is too large: more than %d bytes", maxResponseBytes)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.body.Read(p)
	l.left -= int64(n)
	return n, err
}

func (l *limitedBody) Close() error { return l.body.Close() }
