// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "fmt"

// SQLSTATE codes used in refusals (PostgreSQL manual, appendix A).
const (
	StateSyntaxError           = "42601"
	StateInsufficientPrivilege = "42501"
	StateUndefinedTable        = "42P01"
	StateUndefinedColumn       = "42703"
	StateUndefinedFunction     = "42883"
	StateUndefinedStatement    = "26000"
	StateFeatureNotSupported   = "0A000"
	StateProgramLimitExceeded  = "54000"
	StateTooComplex            = "54001"
	StateInvalidEncoding       = "22021"
	StateInvalidName           = "42602"
	StateInternal              = "XX000"
)

// Error is a refusal in PostgreSQL's own terms: an ErrorResponse can be made
// of it as it is. It never holds a constant of the statement.
type Error struct {
	SQLSTATE string
	Message  string
	Hint     string
	// Position is where in the text it went wrong, in characters from 1; 0 where
	// that cannot be told.
	Position int
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

func refuse(state, hint, format string, args ...any) *Error {
	return &Error{SQLSTATE: state, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// UnknownRelationError says that a relation or function is not in the catalog
// snapshot. The caller may load the catalog once again and repeat the
// analysis; after that it is a refusal like any other.
type UnknownRelationError struct {
	// Refusal is what to answer with.
	Refusal *Error
	// Schema is empty where the name was not qualified.
	Schema, Name string
}

// Error implements error.
func (e *UnknownRelationError) Error() string { return e.Refusal.Error() }

// Unwrap gives the refusal.
func (e *UnknownRelationError) Unwrap() error { return e.Refusal }
