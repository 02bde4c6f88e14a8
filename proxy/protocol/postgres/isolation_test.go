// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/testcert"
)

// recipe reads the lines for pg_hba.conf, and the statements for the role, from the
// page that admins follow.
func recipe(t *testing.T) (hba, statements []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations", "isolation.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```\n# TYPE ")
	lines, rest, closed := strings.Cut(rest, "```")
	_, rest, role := strings.Cut(rest, "```sql\n")
	text, _, ended := strings.Cut(rest, "```")
	if !found || !closed || !role || !ended {
		t.Fatal("docs/operations/isolation.md has no recipe any more")
	}
	hba = strings.Split(strings.TrimSpace(lines), "\n")[1:]
	for i := range hba {
		hba[i] = strings.ReplaceAll(hba[i], "192.0.2.10/32", "127.0.0.1/32")
	}
	return hba, strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "replace-me", canary)), "\n")
}

func clientCertificate(t *testing.T, ca *testcert.CA, name string) *tls.Certificate {
	t.Helper()
	pair, err := ca.Issue(testcert.Request{CommonName: name})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &loaded
}

// TestDirectWayClosed is checklist 52: by the documented rules of the target, whoever
// has the password of the stored credential gets in by the proxy only.
func TestDirectWayClosed(t *testing.T) {
	const role = "shop_app"
	hba, statements := recipe(t)
	ca, err := testcert.NewCA("proxies")
	if err != nil {
		t.Fatal(err)
	}
	others, err := testcert.NewCA("others")
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.StartT(t, pgtest.Options{ClientCA: ca.PEM, HBA: hba})
	if err := s.Exec(t.Context(), append([]string{"CREATE DATABASE shop"}, statements...)...); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason      string
		certificate *tls.Certificate
		password    string
		from        string
		plain       bool
		database    string
		in          bool
	}{
		"Password":           {reason: "it was stolen", password: canary},
		"PasswordPlain":      {reason: "without TLS", password: canary, plain: true},
		"OtherName":          {reason: "a certificate of somebody else", password: canary, certificate: clientCertificate(t, ca, "shop_report")},
		"OtherAuthority":     {reason: "a certificate that anybody can make", password: canary, certificate: clientCertificate(t, others, role)},
		"OtherAddress":       {reason: "all that the proxy has, from elsewhere", password: canary, certificate: clientCertificate(t, ca, role), from: "127.0.0.2"},
		"OtherDatabase":      {reason: "the role is for one", password: canary, certificate: clientCertificate(t, ca, role), database: "postgres"},
		"WithoutPassword":    {reason: "the certificate alone", certificate: clientCertificate(t, ca, role)},
		"AllThatTheProxyHas": {reason: "so that the others are refused for what they lack", password: canary, certificate: clientCertificate(t, ca, role), in: true},
	} {
		t.Run(name, func(t *testing.T) {
			database := tc.database
			if database == "" {
				database = "shop"
			}
			config, err := pgx.ParseConfig(s.DSN(role, tc.password, database))
			if err != nil {
				t.Fatal(err)
			}
			config.Fallbacks = nil
			if tc.plain {
				config.TLSConfig = nil
			} else if tc.certificate != nil {
				config.TLSConfig.Certificates = []tls.Certificate{*tc.certificate}
			}
			if tc.from != "" {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tc.from)}}
				config.DialFunc = dialer.DialContext
			}
			conn, err := pgx.ConnectConfig(deadline(t), config)
			if (err == nil) != tc.in {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if err == nil {
				_ = conn.Close(deadline(t))
				return
			}
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "28000" && refused.Code != "28P01" {
				// A certificate of an unknown authority fails in the TLS handshake.
				if tc.certificate == nil || !strings.Contains(err.Error(), "tls") {
					t.Errorf("%s: not the target's refusal: %v", tc.reason, err)
				}
			}
		})
	}
	r, server := leading(t, `{"databases":["shop"]}`, []snapshot.Target{at(s)}, string(s.CAPEM), func(c *protocoltest.Config) {
		c.Username, c.Password, c.Certificate = role, canary, clientCertificate(t, ca, role)
	})
	var user string
	if err := client(t, r, server).QueryRow(deadline(t), "SELECT session_user::text").Scan(&user); err != nil || user != role {
		t.Errorf("through the proxy: %q, %v", user, err)
	}
}
