// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// TestProtocol runs the kit that every protocol passes.
func TestProtocol(t *testing.T) {
	protocoltest.Run(t, protocoltest.Suite{
		Road:           func(tb testing.TB) (*protocoltest.Road, *protocoltest.Server) { tb.Helper(); return road(tb) },
		Connect:        kitConnect,
		DialsOnConnect: true,
		Garbage: map[string][]byte{
			"length beyond every bound": {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
			"length zero":               {0, 0, 0, 0},
			"HTTP":                      []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
			"SSH":                       []byte("SSH-2.0-OpenSSH_9.6\r\n"),
			"direct TLS, malformed":     {0x16, 3, 1, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff},
			"startup in the clear":      startupPacket(196608, "user", "alice"),
			"startup of 10,001 bytes":   append([]byte{0, 0, 0x27, 0x11, 0, 3, 0, 0}, bytes.Repeat([]byte{'x'}, 9993)...),
			"unknown cancel key":        {0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 1, 2, 3, 4, 5, 6, 7, 8},
		},
	})
}

type kitSession struct{ conn *pgconn.PgConn }

func kitConnect(ctx context.Context, address string, roots *x509.CertPool, token string) (protocoltest.Session, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config, err := pgconn.ParseConfig("host=" + host + " user=alice dbname=shop sslmode=disable password=x")
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	config.Port, config.Password, config.Fallbacks = uint16(number), token, nil
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &kitSession{conn}, nil
}

func (s *kitSession) Operate(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "SELECT total FROM public.orders WHERE id = 1").ReadAll()
	return err
}

func (s *kitSession) Ended(ctx context.Context) string {
	for {
		_, err := s.conn.ReceiveMessage(ctx)
		if err != nil {
			return err.Error()
		}
	}
}

func (s *kitSession) Close() error { return s.conn.Conn().Close() }

// TestDuties: policies may limit rows and name a role, since the protocol counts
// the ones and takes the other; what it does not say, no policy may ask for.
func TestDuties(t *testing.T) {
	v := postgres.New().Vocabulary()
	if v.Row == "" || v.Role == "" {
		t.Errorf("Row = %q, Role = %q, want both", v.Row, v.Role)
	}
}
