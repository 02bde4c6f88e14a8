// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
)

// errTooLarge is in the error of a request that the receiver found too large.
var errTooLarge = errors.New("request too large")

// shortestSecret is the length from which a word of a header's value is taken
// for a secret: shorter ones would blank out ordinary text.
const shortestSecret = 6

// refusal is an answer that accepts nothing.
type refusal struct {
	status int
	said   []byte
	after  time.Duration
}

// failed says which records were not accepted, what the receiver said, and
// what to do.
func (s *Sink) failed(ctx context.Context, id string, r *refusal, err error) error {
	failure := &sink.Failure{Cause: err}
	text, hint := "", ""
	switch {
	case ctx.Err() != nil:
		text = context.Cause(ctx).Error()
		failure.Cause = errors.Join(context.Cause(ctx), err)
	case r == nil || err != nil:
		// The URL, which a url.Error names in full, may hold a token.
		if sent := new(url.Error); errors.As(err, &sent) {
			err = sent.Err
		}
		text = sink.Foreign(err.Error(), s.secrets...)
	default:
		text = fmt.Sprintf("status %d: %s", r.status, sink.Foreign(string(r.said), s.secrets...))
		hint = hints(r.status)
		failure.After = r.after
		if r.status == http.StatusRequestEntityTooLarge {
			failure.Cause = errTooLarge
		}
	}
	failure.Text = fmt.Sprintf("cannot post records %q to %q: %s", id, s.shown, text)
	if hint != "" {
		failure.Text += ": " + hint
	}
	return failure
}

// hints says what to do about answers that a person must mend.
func hints(status int) string {
	switch {
	case status >= 300 && status < 400:
		return "redirects are not followed: set the URL that takes the records"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "correct the signing secret or the headers"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone:
		return "correct the URL"
	case status == http.StatusRequestEntityTooLarge:
		return "have the receiver take requests of 4 MiB"
	case status == http.StatusUnsupportedMediaType:
		return "have the receiver take application/x-ndjson, or set another compression"
	default:
		return ""
	}
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds or a date.
func retryAfter(headers http.Header, now time.Time) time.Duration {
	value := headers.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// secretParts are a value and its words that an error must not show.
func secretParts(value string) []string {
	var parts []string
	words := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,;&=\"", r) })
	for _, part := range append([]string{value}, words...) {
		if len(part) >= shortestSecret {
			parts = append(parts, part)
		}
	}
	return parts
}
