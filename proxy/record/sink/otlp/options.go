// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record/sink"
)

// Protocol is what OTLP is carried by.
type Protocol string

// The protocols. Messages are protobuf in both.
const (
	GRPC Protocol = "GRPC"
	HTTP Protocol = "HTTP"
)

// logsPath is where receivers over HTTP take logs (OTLP specification,
// "OTLP/HTTP Request").
const logsPath = "/v1/logs"

// The ports that OTLP has of its own.
const (
	portGRPC = "4317"
	portHTTP = "4318"
)

// Options say where records are sent and how. They print nothing of themselves.
type Options struct {
	// Endpoint is an https or http URL: https://collector:4317 for GRPC,
	// https://collector:4318 for HTTP. Without a port it is OTLP's own for the
	// protocol. Over HTTP a path is taken as it is, none is /v1/logs. An http
	// URL needs TLS disabled.
	Endpoint string
	Protocol Protocol
	// Headers are sent with each request, as metadata over gRPC, such as
	// Authorization. Their values are secrets.
	Headers map[string]string
	// TLS is how the server is verified.
	TLS         sink.TLS
	Compression sink.Compression
	// Encode makes the body of each log record; nil is sink.Native.
	Encode sink.Encoder
}

// Format keeps the secrets out of whatever prints Options.
func (Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[OTLP sink options]") }

// target reads the endpoint and holds it against the other options.
func (o *Options) target() (*url.URL, error) {
	if o.Protocol != GRPC && o.Protocol != HTTP {
		return nil, fmt.Errorf("protocol is neither %q nor %q: %q", GRPC, HTTP, o.Protocol)
	}
	if err := o.Compression.Check(); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("endpoint is not an http or https URL of a host, without user, query and fragment; credentials belong into headers")
	}
	switch {
	case u.Scheme == "https" && !o.TLS.Disabled, u.Scheme == "http" && o.TLS.Disabled:
	case u.Scheme == "http":
		return nil, fmt.Errorf("endpoint is not encrypted: host %q: use https, or disable TLS to send records in the clear", u.Host)
	case u.Scheme == "https":
		return nil, fmt.Errorf("endpoint contradicts the TLS settings: host %q: TLS is disabled", u.Host)
	default:
		return nil, fmt.Errorf("endpoint is neither http nor https: scheme %q", u.Scheme)
	}
	port := portGRPC
	if o.Protocol == HTTP {
		port = portHTTP
		if u.Path == "" || u.Path == "/" {
			u.Path = logsPath
		}
	} else if u.Path = strings.TrimSuffix(u.Path, "/"); u.Path != "" {
		return nil, fmt.Errorf("endpoint has a path, which gRPC does not know: %q: leave it out, or set protocol %q", u.Path, HTTP)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// headerName are the names that both gRPC and HTTP know.
var headerName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// reserved are headers that this package or its libraries set, or that change
// how a request is framed.
var reserved = []string{
	"host", "connection", "transfer-encoding", "trailer", "te", "upgrade", "keep-alive", "expect", "proxy-connection",
	"content-length", "content-type", "content-encoding", "accept", "accept-encoding", "user-agent",
}

// headers returns the headers with their names in lower case.
func (o *Options) headers() (map[string]string, error) {
	all := map[string]string{}
	for name, value := range o.Headers {
		lower := strings.ToLower(name)
		switch {
		case !headerName.MatchString(name):
			return nil, fmt.Errorf("header name is not one: %q", name)
		case slices.Contains(reserved, lower), strings.HasPrefix(lower, "grpc-"), strings.HasSuffix(lower, "-bin"):
			return nil, fmt.Errorf("header cannot be set: %q: the sink sets it, or it frames the request", name)
		case strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e }):
			return nil, fmt.Errorf("header has characters other than printable ASCII in its value: %q", name)
		}
		if _, there := all[lower]; there {
			return nil, fmt.Errorf("header is set twice: %q", name)
		}
		all[lower] = value
	}
	return all, nil
}

// httpHeaders adds the headers that all requests over HTTP have.
func httpHeaders(own map[string]string, compression sink.Compression) http.Header {
	all := http.Header{}
	all.Set("Content-Type", protobufType)
	all.Set("Accept", protobufType)
	all.Set("User-Agent", userAgent)
	if compression == sink.Gzip {
		all.Set("Content-Encoding", "gzip")
	}
	for name, value := range own {
		all.Set(name, value)
	}
	return all
}
