// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/egress"
	"github.com/doorward/doorward/proxy/record/sink"
)

const (
	// sendTimeout bounds one attempt, from looking the name up to the end of the answer.
	sendTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 4 << 10
	// shortestSecret is the length from which a word is taken for a secret: shorter ones
	// would blank out ordinary text.
	shortestSecret = 6
)

// The headers of each notification, as Standard Webhooks (standardwebhooks.com) names them.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
)

// receiver is who takes notifications. It prints nothing of itself: URL and headers are
// secrets.
type receiver struct {
	url         string
	contentType string
	headers     http.Header
	tls         sink.TLS
	secrets     []string
	loopback    bool
}

// Format keeps the secrets out of whatever prints a receiver.
func (receiver) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[receiver of notifications]") }

// refusal is why a receiver did not take a notification. Its text holds no secret.
type refusal struct {
	text string
	// forGood says that the same notification will be refused again, and others may not.
	forGood bool
	// after is the pause that the receiver asked for.
	after time.Duration
}

func (r *refusal) Error() string { return r.text }

// newReceiver makes a receiver of the settings and the Secret's data.
func newReceiver(spec *v1alpha1.NotifierSpec, data map[string][]byte, loopback bool) (*receiver, error) {
	r := &receiver{url: spec.URL, contentType: spec.ContentType, loopback: loopback}
	if r.contentType == "" {
		r.contentType = "application/json"
	}
	if spec.TLS != nil {
		r.tls = sink.TLS{Disabled: spec.TLS.Mode == v1alpha1.TLSDisabled, ServerName: spec.TLS.ServerName, CA: spec.TLS.CertificateAuthority}
	}
	hidden := strings.TrimSpace(string(data[keyURL]))
	if hidden != "" {
		r.url = hidden
	}
	parsed, err := url.Parse(r.url)
	switch {
	case err != nil || parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" || len(r.url) > 2048:
		return nil, errors.New("the URL is not an http or https URL of a host, without user and fragment")
	case parsed.Scheme == "https" && !r.tls.Disabled, parsed.Scheme == "http" && r.tls.Disabled:
	default:
		return nil, errors.New("the URL must begin with https://, or with http:// when tls.mode is Disabled")
	}
	if hidden != "" {
		r.secrets = append(r.secrets, parsed.Host, parsed.Hostname())
	}
	r.secrets = append(r.secrets, words(r.url)...)
	if plain, err := url.PathUnescape(r.url); err == nil { // as receivers may repeat it
		r.secrets = append(r.secrets, words(plain)...)
	}
	if r.headers, err = readHeaders(data[keyHeaders]); err != nil {
		return nil, err
	}
	for _, values := range r.headers {
		r.secrets = append(r.secrets, words(values[0])...)
	}
	return r, nil
}

// words are a value and those words of it that nobody is to see.
func words(value string) []string {
	parts := []string{value}
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,;&=\"/?", r) }) {
		if len(part) >= shortestSecret && !strings.HasPrefix(part, "http") {
			parts = append(parts, part)
		}
	}
	return parts
}

// send posts a notification once. An error is a *refusal.
func (r *receiver) send(ctx context.Context, id string, at time.Time, body []byte) error {
	transport, err := r.tls.Transport()
	if err != nil {
		return &refusal{text: err.Error()}
	}
	// Notifications are rare: no connection is kept. The address is judged when it is
	// known, so that no name can lead elsewhere meanwhile.
	transport.DisableKeepAlives = true
	dialer := &net.Dialer{Timeout: sendTimeout, Control: r.permit}
	transport.DialContext = dialer.DialContext
	client := &http.Client{
		Transport: transport, Timeout: sendTimeout,
		// A notification goes where it is meant to go and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return r.failed(err)
	}
	request.Header = r.headers.Clone()
	request.Header.Set("Content-Type", r.contentType)
	request.Header.Set("User-Agent", "doorward")
	request.Header.Set(headerID, id)
	request.Header.Set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	answer, err := client.Do(request)
	if err != nil {
		return r.failed(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return nil // what else it says is no decision
	}
	if err != nil {
		return r.failed(err)
	}
	return r.refused(answer, said)
}

// permit refuses what leads to no other machine: the manager's own ports, and the
// services that clouds offer to their machines (package egress).
func (r *receiver) permit(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := to.Addr().Unmap(); !r.loopback || !ip.IsLoopback() {
		return egress.CheckRemote(ip)
	}
	return nil
}

func (r *receiver) failed(err error) error {
	// The URL, which a url.Error names in full, holds a secret.
	if sent := new(url.Error); errors.As(err, &sent) {
		err = sent.Err
	}
	return &refusal{text: "the receiver cannot be reached: " + sink.Foreign(err.Error(), r.secrets...)}
}

// refused reads an answer that is not 2xx.
func (r *receiver) refused(answer *http.Response, said []byte) error {
	f := &refusal{text: fmt.Sprintf("the receiver answers status %d: %s", answer.StatusCode, sink.Foreign(string(said), r.secrets...))}
	switch code := answer.StatusCode; {
	case code < 400:
		f.text += ": redirects are not followed: set the URL that takes notifications"
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		f.text += ": correct the URL or the headers in the Secret"
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed || code == http.StatusGone:
		f.text += ": correct the URL"
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests:
	case code < 500:
		f.forGood = true
		f.text += ": correct the template"
	}
	if seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 31); err == nil {
		f.after = time.Duration(seconds) * time.Second
	}
	return f
}
