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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/review/wire"
)

const (
	// trustBundle is the ConfigMap of the authorities that callers trust, and its key.
	trustBundle    = "doorward-trust-bundle"
	trustBundleKey = "ca.crt"
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

func (o *canIOptions) client(ctx context.Context, streams genericiooptions.IOStreams) (*proxyClient, error) {
	if host, port, err := net.SplitHostPort(o.proxy); err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("invalid --proxy: want host:port: %q", o.proxy)
	}
	token, err := readToken(o.tokenFile, streams.In)
	if err != nil {
		return nil, err
	}
	roots, err := o.authorities(ctx)
	if err != nil {
		return nil, err
	}
	return &proxyClient{address: o.proxy, token: token, http: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		},
		Timeout: askTimeout,
		// A token is for whom it was meant.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the proxy wants to send the question elsewhere")
		},
	}}, nil
}

func (c *proxyClient) close() { c.http.CloseIdleConnections() }

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
		if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
			return fmt.Errorf("cannot ask the proxy: %w: give the authorities that sign its certificate with --ca-file", err)
		}
		return fmt.Errorf("cannot ask the proxy: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, wire.MaxAnswer))
	if err != nil {
		return fmt.Errorf("cannot read the proxy's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var failure wire.Status
		if json.Unmarshal(body, &failure) != nil || failure.Message == "" {
			return fmt.Errorf("the proxy gives no answer: HTTP status %d: is it the port for questions?", response.StatusCode)
		}
		return fmt.Errorf("the proxy gives no answer: %s: %s", audit.Safe(failure.Reason), audit.Safe(failure.Message))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("cannot read the proxy's answer: %w", err)
	}
	return nil
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
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the authorities: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in PEM: file %q", o.caFile)
		}
		return roots, nil
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
	var bundle corev1.ConfigMap
	if err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: trustBundle}, &bundle); err != nil {
		return nil, nil //nolint:nilnil // the same
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(bundle.Data[trustBundleKey])) {
		return nil, fmt.Errorf("ConfigMap %s/%s holds no certificate under %q: give --ca-file", namespace, trustBundle, trustBundleKey)
	}
	return roots, nil
}
