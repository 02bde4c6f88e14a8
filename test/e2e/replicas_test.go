// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancels: requests to cancel go through the Service like any other connection,
// so to either proxy, and reach the session's target all the same.
func (b *bench) cancels(t *testing.T) {
	token, err := b.issuer.token(loader, "loaders")
	if err != nil {
		t.Fatal(err)
	}
	for _, connection := range []string{local, remote} {
		pods := b.proxies(t, connection)
		if len(pods) != 2 {
			t.Fatalf("connection %q has %d proxies, want 2", connection, len(pods))
		}
		for at := range pods {
			for by := range pods {
				t.Run(fmt.Sprintf("%s/SessionAt%dCancelAt%d", connection, at, by), func(t *testing.T) {
					b.cancel(t, connection, token, pods[at].Status.PodIP, pods[by].Status.PodIP)
				})
			}
		}
	}
}

// cancel runs a statement in a session at one proxy, and cancels it at another.
func (b *bench) cancel(t *testing.T, connection, token, at, by string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	config, err := b.callers(connection, token)
	if err != nil {
		t.Fatal(err)
	}
	to := at
	config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return b.Dial(ctx, network, net.JoinHostPort(to, "5432"))
	}
	// All clients come back at the same time behind what was done before.
	var conn *pgconn.PgConn
	await(t, "a session", func(ctx context.Context) (err error) {
		conn, err = pgconn.ConnectConfig(ctx, config)
		return err
	})
	defer conn.Close(ctx)
	to = by
	result := make(chan error, 1)
	mark := fmt.Sprintf("to be canceled %d", time.Now().UnixNano())
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(120), '"+mark+"'").ReadAll()
		result <- err
	}()
	await(t, "the statement at the target", func(ctx context.Context) error {
		rows, err := b.postgres.Query(ctx, database, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%"+mark+"%'")
		if err != nil {
			return err
		}
		if len(rows) != 1 || rows[0] != "1" {
			return fmt.Errorf("it runs %v times", rows)
		}
		return nil
	})
	began := time.Now()
	if err := conn.CancelRequest(ctx); err != nil {
		t.Fatal(err)
	}
	err = <-result
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.Code != "57014" {
		t.Fatalf("the statement ended with %v, want to be canceled", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it was canceled after %s", took)
	}
}
