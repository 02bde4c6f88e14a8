// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgtest_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/test/pgtest"
)

// show returns the first column of the only row of a query.
func show(t *testing.T, dsn, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value string
	if err := conn.QueryRow(t.Context(), query).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestServer(t *testing.T) {
	server := pgtest.StartT(t, pgtest.Options{Settings: map[string]string{"max_connections": "23"}})

	t.Run("settings win", func(t *testing.T) {
		if diff := cmp.Diff("23", show(t, server.SuperuserDSN, "SHOW max_connections")); diff != "" {
			t.Errorf("max_connections (-want +got):\n%s", diff)
		}
	})
	t.Run("sessions are encrypted", func(t *testing.T) {
		query := "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
		if diff := cmp.Diff("true", show(t, server.SuperuserDSN, query)); diff != "" {
			t.Errorf("ssl (-want +got):\n%s", diff)
		}
	})
	t.Run("passwords are kept for SCRAM", func(t *testing.T) {
		query := "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'postgres'"
		if diff := cmp.Diff("SCRAM-SHA-256", show(t, server.SuperuserDSN, query)); diff != "" {
			t.Errorf("rolpassword (-want +got):\n%s", diff)
		}
	})
	t.Run("clear text is refused", func(t *testing.T) {
		dsn := strings.Replace(server.SuperuserDSN, "sslmode=verify-full", "sslmode=disable", 1)
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			conn.Close(t.Context())
			t.Fatal("connected without TLS")
		}
		if !strings.Contains(err.Error(), "no encryption") {
			t.Errorf("got %v, want pg_hba's refusal", err)
		}
	})
	t.Run("a wrong password is refused", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), server.DSN(pgtest.Superuser, "wrong", "postgres"))
		if err == nil {
			conn.Close(t.Context())
			t.Fatal("connected with a wrong password")
		}
	})
	t.Run("statements are logged with application_name", func(t *testing.T) {
		show(t, server.SuperuserDSN+" application_name=who", "SELECT 'seen in the log'")
		log, err := server.Log()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(log) {
			if strings.Contains(line, "app=who ") && strings.Contains(line, "seen in the log") {
				return
			}
		}
		t.Errorf("no such line in:\n%s", log)
	})
}

func TestServerWithoutTLS(t *testing.T) {
	server := pgtest.StartT(t, pgtest.Options{WithoutTLS: true})
	query := "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
	if diff := cmp.Diff("false", show(t, server.SuperuserDSN, query)); diff != "" {
		t.Errorf("ssl (-want +got):\n%s", diff)
	}
}

func TestStopForgetsEverything(t *testing.T) {
	server, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(server.LogPath); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the server's folder is still there: %v", err)
	}
	if err := server.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the server still answers")
	}
}

func TestPgBouncer(t *testing.T) {
	server := pgtest.StartT(t, pgtest.Options{})
	bouncer, err := pgtest.StartPgBouncer(t.Context(), server, map[string]string{pgtest.Superuser: server.Password})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bouncer.Stop(); err != nil {
			t.Error(err)
		}
	}()
	dsn := bouncer.DSN(pgtest.Superuser, server.Password, "postgres")
	if diff := cmp.Diff("UTF8", show(t, dsn, "SHOW server_encoding")); diff != "" {
		t.Errorf("through pgbouncer (-want +got):\n%s", diff)
	}
}
