// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/endpoint"
	"github.com/doorward/doorward/cli/forward"
	"github.com/doorward/doorward/proxy/review/wire"
)

const (
	// askTimeout bounds a question, longer than the proxy's own bound.
	askTimeout = 30 * time.Second
	// bundleTimeout bounds the look for the ConfigMap, which may be out of reach.
	bundleTimeout = 5 * time.Second
	// maxToken bounds the file of a token, in bytes.
	maxToken = 64 << 10
)

// proxyClient asks one proxy.
type proxyClient struct {
	address, token string
	http           *http.Client
}

// newProxyClient asks at an address, host:port, whose host is in the proxy's certificate; it
// dials there, or where dial says. Authorities that are nil are those of this machine.
func newProxyClient(address, dial, token string, roots *x509.CertPool) *proxyClient {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}
	if dial != address {
		transport.Proxy = nil // a port of this machine
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, dial)
		}
	}
	return &proxyClient{address: address, token: token, http: &http.Client{
		Transport: transport, Timeout: askTimeout,
		// A token is for whom it was meant.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the proxy wants to send the question elsewhere")
		},
	}}
}

// client asks the proxy that the flags name.
func (o *canIOptions) client(ctx context.Context, token string) (*proxyClient, error) {
	if host, port, err := net.SplitHostPort(o.Proxy); err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("invalid --proxy: want host:port, or one of (%s, %s, %s): %q", ProxyAuto, ProxyAlways, ProxyNever, o.Proxy)
	}
	roots, err := o.authorities(ctx)
	if err != nil {
		return nil, err
	}
	return newProxyClient(o.Proxy, o.Proxy, token, roots), nil
}

func (c *proxyClient) close() { c.http.CloseIdleConnections() }

// Unanswered says why a proxy gave no answer.
type Unanswered struct {
	// Short is that in a few words.
	Short string
	// Refused says that the proxy itself does not answer; else it was not asked, or not
	// heard.
	Refused bool
	err     error
}

func (u *Unanswered) Error() string { return u.err.Error() }

// Unwrap returns what it is made of.
func (u *Unanswered) Unwrap() error { return u.err }

func unanswered(short, format string, args ...any) *Unanswered {
	return &Unanswered{Short: short, err: fmt.Errorf(format, args...)}
}

// ask posts a question. No error holds the token.
func (c *proxyClient) ask(ctx context.Context, path string, question, answer any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("cannot write the question: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.address+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("cannot ask the proxy: %w", err)
	}
	request.Header.Set("Content-Type", wire.MediaType)
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(request)
	if err != nil {
		unverified := (*tls.CertificateVerificationError)(nil)
		timeout := net.Error(nil)
		switch {
		case errors.As(err, &unverified) && errors.As(err, new(x509.UnknownAuthorityError)):
			return unanswered("not trusted", "cannot ask the proxy: %w: give the authorities that sign its certificate with --ca-file", err)
		case errors.As(err, &unverified):
			return unanswered("not trusted", "cannot ask the proxy: %w", err)
		case errors.As(err, &timeout) && timeout.Timeout():
			return unanswered("no answer in time", "cannot ask the proxy: %w", err)
		}
		return unanswered("not reached", "cannot ask the proxy: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, wire.MaxAnswer))
	if err != nil {
		return unanswered("no answer", "cannot read the proxy's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var failure wire.Status
		if json.Unmarshal(body, &failure) != nil || failure.Message == "" {
			return unanswered("no answer", "the proxy gives no answer: HTTP status %d: is it the port for questions, and of this version?", response.StatusCode)
		}
		if response.StatusCode == http.StatusNotFound {
			// It serves another Connection: this one's was not asked.
			return unanswered("not reached", "another proxy answers there: %s: %s", audit.Safe(failure.Reason), audit.Safe(failure.Message))
		}
		refused := unanswered(short(response.StatusCode), "the proxy gives no answer: %s: %s", audit.Safe(failure.Reason), audit.Safe(failure.Message))
		refused.Refused = true
		return refused
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return unanswered("no answer", "cannot read the proxy's answer: %w", err)
	}
	return nil
}

// short is a refusal to answer in a few words.
func short(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return "token refused"
	case http.StatusTooManyRequests:
		return "asked too often"
	}
	return "no answer"
}

func readToken(path string, in io.Reader) (string, error) {
	from := in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("cannot read the token: %w", err)
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > maxToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("no token: file %q: want one token and nothing else", path)
	}
	return token, nil
}

// authorities are those that may sign the proxy's certificate; nil for those of this
// machine. Whoever may not read the ConfigMap, or has no cluster, names a file.
func (o *canIOptions) authorities(ctx context.Context) (*x509.CertPool, error) {
	if o.CAFile != "" {
		pem, err := endpoint.Authorities(ctx, nil, "", o.CAFile, forward.Role)
		if err != nil {
			return nil, err
		}
		return pool(pem, fmt.Sprintf("file %q", o.CAFile))
	}
	reader, err := newReader(o.cluster.ConfigFlags)
	if err != nil {
		return nil, nil //nolint:nilnil // no cluster: those of this machine
	}
	namespace := o.meant().Namespace
	if namespace == "" {
		if namespace, _, err = o.cluster.ToRawKubeConfigLoader().Namespace(); err != nil {
			return nil, nil //nolint:nilnil // the same
		}
	}
	ctx, cancel := context.WithTimeout(ctx, bundleTimeout)
	defer cancel()
	pem, err := endpoint.Authorities(ctx, reader, namespace, "", forward.Role)
	if errors.Is(err, endpoint.ErrNoAuthorities) {
		return nil, err
	}
	if err != nil {
		return nil, nil //nolint:nilnil // the same
	}
	return pool(pem, fmt.Sprintf("ConfigMap %s/%s", namespace, endpoint.TrustBundle))
}

// pool is a pool of the certificates in PEM that are from somewhere.
func pool(pem []byte, from string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in PEM: %s: give the authorities that sign the proxy's certificate with --ca-file", from)
	}
	return roots, nil
}
