// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/test/proc"
)

// PgBouncer is a running pgbouncer in session mode, the peer that the benchmarks compare with.
type PgBouncer struct {
	Host string
	Port int
	// LogPath holds its log.
	LogPath string

	server  *Server
	dir     string
	process *proc.Process
}

// StartPgBouncer runs pgbouncer in front of a server: SCRAM-SHA-256 on both sides, with the
// roles and passwords given, of which there is at least one, TLS to clients who ask for it,
// verified TLS to a server that has TLS. It must be stopped before the server is.
func StartPgBouncer(ctx context.Context, server *Server, roles map[string]string) (_ *PgBouncer, err error) {
	if len(roles) == 0 {
		return nil, errors.New("cannot start pgbouncer: it needs at least one role that may log in")
	}
	b := &PgBouncer{Host: proc.Loopback, server: server}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Stop())
		}
	}()
	path, err := pgBouncerPath()
	if err != nil {
		return nil, err
	}
	if b.dir, err = privateDir("doorward-pgbouncer-", server.as); err != nil {
		return nil, err
	}
	b.LogPath = filepath.Join(b.dir, "pgbouncer.log")
	if b.Port, err = proc.FreePort(ctx); err != nil {
		return nil, err
	}
	if err := b.configure(roles); err != nil {
		return nil, err
	}
	b.process, err = proc.Start(proc.Command{
		Path:       path,
		Args:       []string{filepath.Join(b.dir, "pgbouncer.ini")},
		Dir:        b.dir,
		Output:     b.LogPath,
		Credential: server.as,
		StopSignal: syscall.SIGTERM, // "immediate" shutdown
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	role := slices.Min(slices.Collect(maps.Keys(roles)))
	err = b.process.WaitReady(ctx, pollInterval, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, b.DSN(role, roles[role], "postgres"))
		if err != nil {
			return fmt.Errorf("cannot connect through pgbouncer: %w", err)
		}
		return conn.Close(ctx)
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// DSN returns a connection string for a role and a database through pgbouncer.
func (b *PgBouncer) DSN(role, password, database string) string {
	through := *b.server
	through.Host, through.Port = b.Host, b.Port
	return through.DSN(role, password, database)
}

// PID returns the process id, for measures of its CPU time.
func (b *PgBouncer) PID() int { return b.process.PID() }

// Stop ends pgbouncer and removes its files.
func (b *PgBouncer) Stop() error {
	var errs []error
	if b.process != nil {
		errs = append(errs, b.process.Stop())
		b.process = nil
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

// configure writes pgbouncer.ini and the file of its roles.
func (b *PgBouncer) configure(roles map[string]string) error {
	var users strings.Builder
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		fmt.Fprintf(&users, "%q %q\n", name, roles[name])
	}
	settings := []string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%d", b.server.Host, b.server.Port),
		"[pgbouncer]",
		"listen_addr = " + b.Host,
		fmt.Sprintf("listen_port = %d", b.Port),
		"unix_socket_dir =",
		"auth_type = scram-sha-256",
		"auth_file = " + filepath.Join(b.dir, "users.txt"),
		"pool_mode = session",
		"max_client_conn = 400",
		"default_pool_size = 300",
		"ignore_startup_parameters = extra_float_digits",
		"log_connections = 0",
		"log_disconnections = 0",
	}
	if b.server.CAPath != "" {
		settings = append(
			settings,
			"server_tls_sslmode = verify-full",
			"server_tls_ca_file = "+b.server.CAPath,
			"client_tls_sslmode = allow",
			"client_tls_cert_file = "+filepath.Join(b.server.dir, "server.crt"),
			"client_tls_key_file = "+filepath.Join(b.server.dir, "server.key"),
		)
	}
	return errors.Join(
		writePrivate(filepath.Join(b.dir, "pgbouncer.ini"), []byte(strings.Join(settings, "\n")+"\n"), b.server.as),
		writePrivate(filepath.Join(b.dir, "users.txt"), []byte(users.String()), b.server.as),
	)
}
