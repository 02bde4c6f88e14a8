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
// [Statement.Disclose] follows the values of masked columns through a statement,
// level by level: relations, views by their stored queries, subqueries, LATERAL,
// queries of WITH (recursive ones to a fixpoint), VALUES, set operations, joins,
// functions in FROM, whole rows, RETURNING. It says of each output column whether
// it is clear, plain (the unchanged value of one masked column, to be masked by
// its method) or derived from masked ones (to be masked as a whole, where the
// mask allows that at all).
//
// A masked value may flow into output columns and nowhere else:
//
//   - Whatever else depends on one is a predicate: rows, their number and order,
//     errors, the time taken. That is WHERE, joins, grouping, sorting, DISTINCT, set
//     operations but UNION ALL, LIMIT, windows, rows made by functions, ON CONFLICT,
//     and every expression over it in which something is not total, that is, may
//     fail or take unbounded time (total.go): CASE and the like would turn an error
//     elsewhere in the expression into an answer. The mask denies predicates, or
//     allows them.
//   - Nothing may store one or pass it on: INSERT ... SELECT, SET, CREATE TABLE AS,
//     views, COPY to a file, set_config. So what a session has made holds none,
//     and the columns of such relations, which are not known, are clear.
//   - Functions that are not known to be harmless, anonymous blocks, and definitions
//     that could move masked data are refused while anything is masked.
//
// Columns of the system catalogs that hold values, or statements of others, are
// masked as a whole (systemvalues.go). What is not understood, such as a view
// whose query cannot be followed, depends on all that it may reach. Other looks
// make sure that no reference in the tree was passed over, and that no name of a
// masked column in the text is missing from the tree; and the wire layer masks by
// the origin that the server reports as well.
//
// That Disclose is right is tested on a real server: random statements run over
// two databases that differ in masked values only, and must show the same.
//
// # What is not seen
//
// Code that administrators have attached to relations runs unseen: triggers,
// column defaults, row security, and functions behind implicit casts and index
// expressions. A table that such code fills with masked values needs masks of its
// own; a view that calls functions of users is refused where masks apply.
// Constraints decide by what they compare: who may write a masked relation can
// find out by errors whether a value of a unique column exists, and by a CHECK that
// compares columns how a masked one stands to what he writes. Error details may
// quote whole rows: the wire layer leaves them out ([Disclosure.Touched]). A
// partition's name tells what its key may be. EXPLAIN shows the average width of
// columns, and the sizes of relations are no secret. The limit of 1 GB on a value
// is left out of account: concatenating a masked value with one of almost that
// size tells something about its length. Operators and casts of extensions count as
// built-in.
package sql
