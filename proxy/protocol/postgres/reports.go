// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// report passes an error or a notice on. While masked values may take part in what
// runs, its code is left, what the code stands for, and names. Values and names of others are in
// it, and psql shows it as it is: what would draw there is made visible.
func (s *session) report(raw []byte, isError bool) error {
	raw = visible(raw)
	s.mu.Lock()
	reveals := s.reveals
	s.mu.Unlock()
	if reveals == revealsNothing {
		return s.pass(raw)
	}
	fields := errorFields(raw[headerLength:])
	if fields == nil {
		return fmt.Errorf("%w: malformed error", errTarget)
	}
	if !isError && isDebug(fields['V']) {
		return nil // plans, parameters and whatever else the server logs
	}
	if reveals == revealsMasks {
		return s.pass(raw)
	}
	// The place in the caller's own text is a number.
	position, _ := strconv.ParseInt(fields['P'], 10, 32)
	out := pgproto3.ErrorResponse{
		Severity: fields['S'], SeverityUnlocalized: fields['V'], Code: fields['C'], Position: int32(position),
		Message: "the target's message is withheld, since masked values may be in it",
	}
	if reveals == revealsValues {
		out.SchemaName, out.TableName, out.ColumnName = fields['s'], fields['t'], fields['c']
		out.DataTypeName, out.ConstraintName = fields['d'], fields['n']
	}
	if messageIsSafe(fields['C']) || reveals == revealsValues && namesConstraint(fields['C']) {
		out.Message = fields['M']
	}
	if isError {
		return s.pass(encode(nil, &out))
	}
	return s.pass(encode(nil, (*pgproto3.NoticeResponse)(&out)))
}

// visible makes visible what draws in an error or a notice; anything else, what is malformed
// included, it leaves as it is.
func visible(raw []byte) []byte {
	content := raw[headerLength:]
	if bytes.IndexFunc(content, func(r rune) bool { return r != 0 && deceives(r) }) < 0 {
		return raw
	}
	out := append([]byte(nil), raw[:headerLength]...)
	for len(content) > 1 {
		end := bytes.IndexByte(content[1:], 0)
		if end < 0 {
			return raw
		}
		out = append(out, content[0])
		out = append(out, lines(string(content[1:1+end]))...)
		out = append(out, 0)
		content = content[end+2:]
	}
	out = append(out, content...)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1)) //nolint:gosec // at most ten times what a target may send
	return out
}

// isDebug says whether a notice is meant for the server's log.
func isDebug(severity string) bool { return severity == "LOG" || strings.HasPrefix(severity, "DEBUG") }

// namesConstraint says whether the server's own messages of a SQLSTATE name
// relations, columns and constraints and hold no values: what is violated, and
// what would be null.
func namesConstraint(code string) bool {
	switch code {
	case "23502", "23503", "23505", "23514", "23P01":
		return true
	}
	return false
}

// messageIsSafe says whether the messages of a SQLSTATE hold names and no
// values: connection, transaction, privilege, lock, syntax and shutdown errors.
func messageIsSafe(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "25", "26", "28", "2D", "34", "3B", "3D", "3F", "40", "53", "54", "55", "57", "58":
		return true
	}
	switch code {
	case stateInsufficient, "42601", "42P01", "42703", "42883", "42P05", "42P03", "42P07", stateFeatureNotSupported:
		return true
	}
	return false
}

// errorFields reads the fields of an error or notice; nil where malformed.
func errorFields(content []byte) map[byte]string {
	b := body{rest: content}
	fields := map[byte]string{}
	for {
		kind := b.byte("field")
		if b.err != nil {
			return nil
		}
		if kind == 0 {
			break
		}
		fields[kind] = b.text("field")
	}
	if b.done() != nil {
		return nil
	}
	return fields
}
