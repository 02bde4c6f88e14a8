// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/proxy/record"
)

// SQLSTATE codes of the proxy's own answers (PostgreSQL manual, appendix A).
const (
	stateProtocolViolation   = "08P01"
	stateFeatureNotSupported = "0A000"
	stateInvalidParameter    = "22023"
	stateInvalidStatement    = "26000"
	stateInvalidAuth         = "28000"
	stateInvalidPassword     = "28P01"
	stateInvalidCursor       = "34000"
	stateInvalidCatalog      = "3D000"
	stateInsufficient        = "42501"
	stateUndefinedObject     = "42704"
	stateTooManyConnections  = "53300"
	stateLimitExceeded       = "54000"
	stateQueryCanceled       = "57014"
	stateAdminShutdown       = "57P01"
	stateCannotConnectNow    = "57P03"
	stateIdleSession         = "57P05"
)

// codeOf is the SQLSTATE of a refusal.
func codeOf(r *access.Refusal) string {
	if r.Code != "" {
		return r.Code
	}
	switch r.Reason {
	case access.ReasonCredential:
		return stateInvalidPassword
	case access.ReasonUnavailable, access.ReasonDraining:
		return stateCannotConnectNow
	case access.ReasonProtocol:
		return stateFeatureNotSupported
	case access.ReasonLimit:
		return stateTooManyConnections
	case access.ReasonSessionEnded:
		return stateAdminShutdown
	case access.ReasonCanceled:
		return stateQueryCanceled
	default:
		return stateInsufficient
	}
}

// errorResponse says a refusal in the protocol's words. Severity is ERROR
// where the session goes on and FATAL where it ends.
func errorResponse(severity string, refusal *access.Refusal) *pgproto3.ErrorResponse {
	if severity == "FATAL" {
		refusal = ending(refusal)
	}
	return &pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: codeOf(refusal),
		Message: oneLine(refusal.Message), Detail: lines(refusal.Detail()), Hint: lines(refusal.Hint), Position: int32(refusal.Position), //nolint:gosec // at most MaxStatement
	}
}

// oneLine keeps what callers, approvers and token issuers wrote from drawing on a terminal, and
// from passing for something else: white space is a blank, the rest is shown as records show it.
func oneLine(s string) string {
	return lines(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, s))
}

// lines is the same for a text of several lines.
func lines(s string) string {
	if strings.IndexFunc(s, deceives) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if deceives(r) {
			fmt.Fprintf(&b, `\u{%x}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func deceives(r rune) bool { return r != '\n' && r != '\t' && record.Deceives(r) }

// encode appends a message; those the proxy makes are all encodable.
func encode(dst []byte, m interface {
	Encode(dst []byte) ([]byte, error)
},
) []byte {
	out, err := m.Encode(dst)
	if err != nil {
		return dst
	}
	return out
}

// fromSQL makes a Refusal of what package sql refuses.
func fromSQL(err error) *access.Refusal {
	var refused *sql.Error
	if errors.As(err, &refused) {
		return sqlRefusal(refused)
	}
	return access.AsRefusal(err)
}

func sqlRefusal(e *sql.Error) *access.Refusal {
	return &access.Refusal{Reason: access.ReasonProtocol, Code: e.SQLSTATE, Message: e.Message, Hint: e.Hint, Position: e.Position}
}

// violation is a breach of the protocol; it ends the session.
func violation(format string, args ...any) *access.Refusal {
	return &access.Refusal{
		Reason: access.ReasonProtocol, Code: stateProtocolViolation, Message: fmt.Sprintf(format, args...),
		Hint: "Reconnect with a client that speaks PostgreSQL's protocol 3.0.",
	}
}
