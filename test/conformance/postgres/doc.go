// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package postgres has stock clients do the same work twice, on a server that is
// reached directly and through the proxy, and compares all they show: psql,
// pg_dump, pg_restore, psycopg 3, psycopg2, JDBC and lib/pq. The proxy allows
// everything and masks nothing (test/gateway), so that whatever differs is its
// own doing. hack/peer-suites does the same with the drivers' own suites.
//
// What policies, masks, approvals and records do to clients is the business of
// the folder above.
package postgres
