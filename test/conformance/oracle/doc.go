// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oracle holds the statements that the proxy puts on record, and their
// kinds, against what a real PostgreSQL server logs of the same session
// (log_statement, and the command tag of its jsonlog): they are equal, or the
// proxy has refused; there is never a difference (checklist 11).
//
// The texts are a small corpus of this project's own, testdata/own.sql, and the
// statements of PostgreSQL's regression tests as far as they are at hand: in the
// module of the SQL parser, one by one, and, where DOORWARD_REGRESS names
// src/test/regress of PostgreSQL's source, as psql sends them. A sample runs by
// default; DOORWARD_LONG=1 runs them all (make conformance-oracle).
package oracle
