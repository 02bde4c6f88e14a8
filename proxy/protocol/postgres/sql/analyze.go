// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sql says what a PostgreSQL statement does, without running it.
package sql

import "github.com/doorward/doorward/proxy/protocol/postgres/catalog"

// DefaultMaxBytes bounds the size of a text that is analysed.
const DefaultMaxBytes = 256 << 10

// Options is what the meaning of a text depends on besides the catalog.
type Options struct {
	// SearchPath is current_schemas(true) of the session.
	SearchPath []string
	// Database is the name of the database that the session is connected to.
	Database string
	// MaxBytes bounds the text; 0 means DefaultMaxBytes.
	MaxBytes int
	// Prepared finds a statement that PREPARE or Parse has named in this
	// session. Nil means there is none.
	Prepared func(name string) (*Statement, bool)
	// TempRelations says whether a temporary relation of that name may exist
	// in the session. Nil means there is none.
	TempRelations func(name string) bool
}

// MaskedColumns names the columns of a relation that are masked for a caller
// by policy. It is asked for relations of the catalog one by one.
type MaskedColumns func(relation uint32) []string

// Analyze parses a text of one or more statements and says what each of them
// does. It never panics. The error is an *Error or, where a name is not in the
// catalog snapshot, an *UnknownRelationError; either way nothing of the text
// may be forwarded. A text without any statement yields an empty slice.
func Analyze(text string, cat *catalog.Catalog, opt Options) ([]Statement, error) {
	return nil, refuse(StateSyntaxError, "", "statement cannot be understood")
}

// CheckMasks says whether the statement may run for a caller for whom columns
// are masked. Nil means that it may, and that masked columns appear only as
// plain output columns whose origin the server reports in RowDescription.
func (s *Statement) CheckMasks(m MaskedColumns) error {
	return refuse(StateInsufficientPrivilege, "", "statement cannot be masked")
}
