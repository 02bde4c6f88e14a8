// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evasion holds the proxy against people who try to get round it, and
// against people who do not.
//
// testdata/masked holds attacks on masked columns, one file per technique, under
// a policy that allows everything and masks; testdata/denied holds attempts at
// what a policy does not allow; testdata/honest holds what analysts and their
// tools ask. Each case is sent by psql and, in simple and extended protocol with
// text and binary results, by pgx.
//
// Attacks run against two servers that differ in their masked values only. A
// leak is whatever comes back that holds a masked value in any known form, and,
// whatever it is, any byte that differs between the two: a row more, another
// error, a single bit.
package evasion
