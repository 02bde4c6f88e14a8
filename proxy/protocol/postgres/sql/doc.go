// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sql says what a PostgreSQL statement does, without running it, and
// whether it may run for a caller for whom columns are masked.
//
// [Analyze] parses a text with PostgreSQL's grammar, resolves its names in a
// catalog snapshot and describes each statement by accesses (action and
// resource), properties and effects on the session. What cannot be parsed, cut
// into statements or resolved is refused; what the analysis does not know is
// the action "unknown".
//
// # Names
//
// Relations resolve as on the server: temporary ones, then the search path. A
// temporary relation, or one created in a transaction that the snapshot cannot
// see, may be gone again after a rollback: where the snapshot has a relation of
// the same name too, both are accessed and the masks of the latter hold. A
// function call is every overload of that name and number of arguments in any
// schema of the path.
//
// # Masks
//
// A masked column may only be a plain output column of the outermost SELECT,
// taken from the masked relation itself; the server then reports its origin
// and the wire layer masks the values. Everything else is refused: the rule is
// that nothing but those columns may depend on masked values, neither rows nor
// their number or order. Two independent checks have to agree: the walk over
// the parse tree, and a count of the masked names among the tokens of the text.
// As soon as anything is masked for a caller, functions that are not known to
// be harmless, anonymous blocks, and definitions that could move, rename or copy
// masked data are refused as well.
//
// # What is not seen
//
// Code that administrators have attached to relations runs unseen: triggers,
// column defaults, row security, check constraints, and functions behind
// implicit casts and index expressions. A table that such code fills with
// masked values needs masks of its own; a view that calls functions is refused
// where masks apply. Who may write a masked column with a unique constraint can
// find out whether a value exists, and error details may quote whole rows: the
// wire layer leaves them out (see [Statement.TouchesMasked]). Operators and casts
// of extensions count as built-in.
package sql
