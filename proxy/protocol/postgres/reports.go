// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"
)

// report passes an error or a notice on. While masked values may take part in
// what runs, only its code and what the code stands for are left.
func (s *session) report(raw []byte, isError bool) error {
	s.mu.Lock()
	touched := s.touched
	s.mu.Unlock()
	if !touched {
		return s.pass(raw)
	}
	fields := errorFields(raw[headerLength:])
	if fields == nil {
		return fmt.Errorf("%w: malformed error", errTarget)
	}
	text := fields['M']
	if !messageIsSafe(fields['C']) {
		text = "the target's message is withheld, since masked values may be in it"
	}
	if isError {
		return s.pass(encode(nil, &pgproto3.ErrorResponse{Severity: fields['S'], SeverityUnlocalized: fields['V'], Code: fields['C'], Message: text}))
	}
	return s.pass(encode(nil, &pgproto3.NoticeResponse{Severity: fields['S'], SeverityUnlocalized: fields['V'], Code: fields['C'], Message: text}))
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
