// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"strconv"
	"strings"
	"time"
)

// foreignLimit is the number of bytes shown of what a destination said.
const foreignLimit = 512

// Foreign makes text of a destination fit for an error: the secrets that the
// destination was sent are taken out, and it is cut to 512 bytes and quoted, so
// that no character of it acts on a terminal or breaks a line.
func Foreign(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	text = strings.TrimSpace(text)
	cut := ""
	for {
		// A quoted byte may take four.
		quoted := strconv.QuoteToASCII(text + cut)
		if len(quoted) <= foreignLimit+len(`" [cut]"`) {
			return quoted
		}
		text, cut = text[:min(foreignLimit, len(text)*3/4)], " [cut]"
	}
}

// Failure is the error of a Write whose text a destination had a hand in.
type Failure struct {
	// Text is all that is shown, made safe with Foreign where need be.
	Text string
	// Cause is for errors.Is and errors.As only.
	Cause error
	// After is the pause that the destination asked for; zero where it did not.
	After time.Duration
}

// Error returns the text.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// RetryAfter returns the pause that the destination asked for. A Shipper waits
// at least that long, up to MaxRetryAfter.
func (f *Failure) RetryAfter() time.Duration { return f.After }
