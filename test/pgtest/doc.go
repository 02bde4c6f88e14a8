// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pgtest runs real PostgreSQL servers, and pgbouncer in front of them, on loopback.
//
//	server := pgtest.StartT(t, pgtest.Options{})
//	conn, err := pgx.Connect(ctx, server.SuperuserDSN)
//
// A server speaks TLS only, with a certificate of its own authority, accepts SCRAM-SHA-256
// only, logs every statement with the session's application_name, and forgets everything
// when it stops. Started by root, it runs as the user postgres, else nobody: PostgreSQL and
// pgbouncer refuse to run as root.
package pgtest
