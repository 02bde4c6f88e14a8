// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance has stock clients do their ordinary work through the real
// proxy, against a real PostgreSQL, under policies in a real API server: psql,
// pgbench, pgx and node-postgres.
//
// After each client an account is made: the AuditSession names the caller and
// counts right, the records hold every statement that the target's own log
// holds, no masked value reached the client, and the target's password is
// nowhere.
package conformance
