// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
)

// userAgent is what servers see as the sender.
const userAgent = "doorward-proxy"

const (
	hintNoReceiver  = "set the endpoint of a receiver of OTLP logs, and the protocol it speaks"
	hintRedirect    = "redirects are not followed: set the endpoint that takes the records"
	hintCredentials = "correct the credentials in the headers, or the client certificate"
	hintTooLarge    = "have the server take larger messages (a collector: max_recv_msg_size_mib, max_request_body_size)"
)

// refusal is why a request was not accepted.
type refusal struct {
	// status is our own word for it, said the server's. cause, where there is
	// one, is shown instead of said.
	status, said string
	cause        error
	hint         string
	after        time.Duration
	// tooLarge says that fewer records may be taken; some, that it may be the
	// fault of some of the records and not of all.
	tooLarge, some bool
}

// failed says which records were not accepted, what the server said, and what
// to do.
func (s *Sink) failed(ctx context.Context, records string, r *refusal) error {
	failure := &sink.Failure{Cause: r.cause, After: r.after}
	var text string
	if ctx.Err() != nil {
		failure.Cause = errors.Join(context.Cause(ctx), r.cause)
		text = context.Cause(ctx).Error()
	} else {
		said := r.said
		if r.cause != nil {
			said = r.cause.Error()
		}
		text = r.status
		if said != "" {
			text += ": " + sink.Foreign(said, s.secrets...)
		}
		if r.hint != "" {
			text += ": " + r.hint
		}
	}
	failure.Text = fmt.Sprintf("cannot send records %s to %q: %s", records, s.endpoint, text)
	return failure
}

// shortestSecret is the length from which a word of a header's value is taken
// for a secret: shorter ones would blank out ordinary text.
const shortestSecret = 6

// secretParts are a value and its words that an error must not show, the
// longest first.
func secretParts(value string) []string {
	parts := []string{value}
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ,;&=\"", r) }) {
		if len(word) >= shortestSecret && word != value {
			parts = append(parts, word)
		}
	}
	return parts
}
