// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"
)

const (
	// maxAnswer bounds what an issuer may answer, in bytes.
	maxAnswer = 1 << 20
	// askTimeout bounds one question to it.
	askTimeout = 30 * time.Second
)

var errTooLong = errors.New("the issuer's answer is too long")

// newHTTPClient asks an issuer: over TLS, except on this machine; without following it
// elsewhere, since codes and tokens are for whom they were meant; within bounds.
func newHTTPClient(caFile string) (*http.Client, error) {
	roots, err := authorities(caFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: askTimeout,
		Transport: &bounded{&http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
			TLSHandshakeTimeout: askTimeout, MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			return fmt.Errorf("the issuer sends us elsewhere, to %q: give the URL that it names itself", next.URL.Redacted())
		},
	}, nil
}

func authorities(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil //nolint:nilnil // those of this machine
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the issuer's authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in PEM: file %q", caFile)
	}
	return roots, nil
}

// secureURL refuses a URL on the way to which tokens could be read.
func secureURL(what, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("invalid %s: want https://host/path: %q", what, text)
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("invalid %s: want https, http is for this machine only: %q", what, text)
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// bounded refuses what is not secure, whichever document it was named in, and answers
// that are too long.
type bounded struct{ next http.RoundTripper }

func (b *bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := secureURL("URL of the issuer", request.URL.String()); err != nil {
		return nil, err
	}
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: maxAnswer}
	return response, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
