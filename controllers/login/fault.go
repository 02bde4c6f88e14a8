// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
)

// The error codes of RFC 6749 (sections 4.1.2.1 and 5.2), RFC 8628 (section 3.5) and
// RFC 8693 (section 2.2.2) that the portal answers with.
const (
	codeInvalidRequest  = "invalid_request"
	codeInvalidClient   = "invalid_client"
	codeInvalidGrant    = "invalid_grant"
	codeInvalidTarget   = "invalid_target"
	codeUnsupported     = "unsupported_grant_type"
	codeUnsupportedType = "unsupported_response_type"
	codeAccessDenied    = "access_denied"
	codePending         = "authorization_pending"
	codeSlowDown        = "slow_down"
	codeExpired         = "expired_token"
	codeUnavailable     = "temporarily_unavailable"
)

// fault is a refusal: a code, and words for whoever asked. What else there is to know is
// for the log.
type fault struct {
	code, text string
	cause      error
	// of is whom it is about, for the log: key and value pairs, where somebody was proven.
	of []any
}

// about says whom a refusal is about.
func (f *fault) about(of *proof) *fault {
	named := *f // some are shared
	named.of = ofWhom(of.Provider, &of.Owner)
	return &named
}

func (f *fault) Error() string {
	if f.cause != nil {
		return fmt.Sprintf("%s: %s: %v", f.code, f.text, f.cause)
	}
	return f.code + ": " + f.text
}

func (f *fault) Unwrap() error { return f.cause }

func refuse(code, format string, args ...any) *fault {
	return &fault{code: code, text: fmt.Sprintf(format, args...)}
}

// unavailable hides what is nobody's business and the caller cannot mend.
func unavailable(cause error) *fault {
	return &fault{code: codeUnavailable, text: "the login portal cannot answer now: try again later; its log says why", cause: cause}
}

// ofVerifier is what a Verifier's error is to the caller.
func ofVerifier(what string, err error) *fault {
	if errors.Is(err, identity.ErrRejected) {
		return refuse(codeInvalidGrant, "%s: %v", what, err)
	}
	return unavailable(fmt.Errorf("%s: %w", what, err))
}

// faultOf makes a fault of any error.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return unavailable(err)
}

// status is that of RFC 6749, section 5.2, and 503 where somebody has to try again.
func (f *fault) status() int {
	switch f.code {
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeInvalidClient:
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

// maxDescription bounds an error_description, in bytes.
const maxDescription = 500

// describe keeps to the characters of an error_description (RFC 6749, section 5.2).
func describe(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
	if len(text) > maxDescription {
		text = text[:maxDescription] + "..."
	}
	return text
}

// writeFault answers as RFC 6749, section 5.2.
func writeFault(w http.ResponseWriter, f *fault) {
	writeJSON(w, f.status(), map[string]string{"error": f.code, "error_description": describe(f.text)})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the client that went away learns nothing of it
}
