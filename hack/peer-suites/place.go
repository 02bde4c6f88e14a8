// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/pgtest"
)

// place is where clients connect: a server, or the proxy before it.
type place struct {
	host           string
	port           int
	user, password string
	database       string
	ca             string
}

// dsn is a connection string of key words and values.
func (p place) dsn() string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=verify-full sslrootcert=%s",
		p.host, p.port, p.user, p.password, p.database, p.ca)
}

// url is the same as a URI.
func (p place) url(query url.Values) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.user, p.password),
		Host: net.JoinHostPort(p.host, strconv.Itoa(p.port)), Path: "/" + p.database, RawQuery: query.Encode(),
	}
	return u.String()
}

// environment are libpq's variables.
func (p place) environment() []string {
	return append(os.Environ(),
		"PGHOST="+p.host, "PGPORT="+strconv.Itoa(p.port), "PGUSER="+p.user, "PGPASSWORD="+p.password, "PGDATABASE="+p.database,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT="+p.ca,
	)
}

// site is a fresh server with a proxy before it.
type site struct {
	server  *pgtest.Server
	gateway *gateway.Gateway
	direct  place
	proxied place
}

func openSite(ctx context.Context, database string, statements []string, settings map[string]string) (_ *site, err error) {
	s := &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	all := map[string]string{"log_statement": "none", "max_connections": "200", "max_prepared_transactions": "10"}
	maps.Copy(all, settings)
	if s.server, err = pgtest.Start(ctx, pgtest.Options{Settings: all}); err != nil {
		return s, err
	}
	s.direct = place{
		host: s.server.Host, port: s.server.Port, user: pgtest.Superuser, password: s.server.Password, database: database, ca: s.server.CAPath,
	}
	if err := s.server.Exec(ctx, "CREATE DATABASE "+database); err != nil {
		return s, err
	}
	conn, err := pgx.Connect(ctx, s.direct.dsn())
	if err != nil {
		return s, fmt.Errorf("cannot connect: %w", err)
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return s, fmt.Errorf("cannot prepare the database: %q: %w", statement, err)
		}
	}
	if s.gateway, err = gateway.Start(ctx, gateway.Postgres(s.server, database, "postgres")); err != nil {
		return s, err
	}
	s.proxied = s.direct
	s.proxied.host, s.proxied.port, s.proxied.ca = s.gateway.Host, s.gateway.Port, s.gateway.CAPath
	return s, nil
}

func (s *site) close() (err error) {
	if s.gateway != nil {
		err = s.gateway.Stop()
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Stop())
	}
	return err
}

func serveOnly(ctx context.Context) error {
	s, err := openSite(ctx, "peers", nil, nil)
	if err != nil {
		return err
	}
	fmt.Printf("direct:  %s\nproxied: %s\n", s.direct.dsn(), s.proxied.dsn())
	<-ctx.Done()
	return s.close()
}
