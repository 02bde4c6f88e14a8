// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record/sink"
)

// Bounds of a signing secret, in bytes, as Standard Webhooks has them, and how
// many there may be.
const (
	minSecret  = 24
	maxSecret  = 64
	maxSecrets = 10
)

// Options say where records are posted and how. They print nothing of
// themselves.
type Options struct {
	// URL is http or https, with a path and a query where need be. An http URL
	// needs TLS disabled.
	URL string
	// Secrets sign each request, each with a signature of its own, so that a
	// receiver may change from one to the next. Each is 24 to 64 random bytes
	// in base64, with or without "whsec_" in front, as Standard Webhooks has it.
	Secrets [][]byte
	// Headers are sent with each request, such as Authorization. Their values
	// are secrets.
	Headers map[string]string
	// TLS is how the receiver is verified.
	TLS         sink.TLS
	Compression sink.Compression
	// Encode makes the lines; nil is sink.Native.
	Encode sink.Encoder
}

// Format keeps the secrets out of whatever prints Options.
func (Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[webhook sink options]") }

// target reads the URL and holds it against TLS.
func (o *Options) target() (*url.URL, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("URL is not an http or https URL of a host, without user and fragment; credentials belong into headers")
	}
	switch {
	case u.Scheme == "https" && !o.TLS.Disabled, u.Scheme == "http" && o.TLS.Disabled:
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("URL is not encrypted: host %q: use https, or disable TLS to send records in the clear", u.Host)
	case u.Scheme == "https":
		return nil, fmt.Errorf("URL contradicts the TLS settings: host %q: TLS is disabled", u.Host)
	default:
		return nil, fmt.Errorf("URL is neither http nor https: scheme %q", u.Scheme)
	}
}

// keys decodes the secrets. Its errors show none.
func (o *Options) keys() ([][]byte, error) {
	if len(o.Secrets) == 0 || len(o.Secrets) > maxSecrets {
		return nil, fmt.Errorf("%d signing secrets are set: 1 to %d are needed; make one with: echo whsec_$(openssl rand -base64 32)", len(o.Secrets), maxSecrets)
	}
	keys := make([][]byte, 0, len(o.Secrets))
	for i, secret := range o.Secrets {
		text := strings.TrimPrefix(strings.TrimSpace(string(secret)), "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf("signing secret %d is not %d to %d bytes in base64: make one with: echo whsec_$(openssl rand -base64 32)", i+1, minSecret, maxSecret)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")

// reserved are headers that this package or net/http sets, or that change how
// a request is framed.
var reserved = []string{
	"Host", "Connection", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Keep-Alive", "Expect", "Proxy-Connection",
	"Content-Length", "Content-Type", "Content-Encoding", "Accept-Encoding", "User-Agent",
	headerID, headerTimestamp, headerSignature,
}

// headers checks the extra headers and adds those that no request differs in.
func (o *Options) headers() (http.Header, error) {
	all := http.Header{"Content-Type": {"application/x-ndjson"}, "User-Agent": {"doorward"}}
	if o.Compression == sink.Gzip {
		all.Set("Content-Encoding", "gzip")
	}
	for name, value := range o.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			return nil, fmt.Errorf("header name is not one: %q", name)
		case slices.Contains(reserved, canonical):
			return nil, fmt.Errorf("header cannot be set: %q: the sink sets it, or it frames the request", name)
		case strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }):
			return nil, fmt.Errorf("header has control characters in its value: %q", name)
		case all.Get(canonical) != "":
			return nil, fmt.Errorf("header is set twice: %q", name)
		}
		all.Set(canonical, value)
	}
	return all, nil
}
