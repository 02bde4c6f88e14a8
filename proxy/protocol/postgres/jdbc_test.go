// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/testcert"
)

// jdbcDriver is where Debian puts PostgreSQL's driver for Java.
const jdbcDriver = "/usr/share/java/postgresql.jar"

// TestClientCertificateJDBC (checklist 29): PostgreSQL's driver for Java, as Debian ships it, is
// in by a certificate of the manager's in both forms that it reads, made as the documentation
// says, over TLS 1.2 and 1.3; one of somebody else's proves nobody.
func TestClientCertificateJDBC(t *testing.T) {
	p, r, s := withPortal(t)
	certificate, key := p.pair(t, time.Now(), time.Hour)
	ca, err := testcert.NewCA("somebody else")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(testcert.Request{CommonName: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	foreign, foreignKey := written(t, pair.CertPEM), written(t, pair.KeyPEM)
	pk8 := func(key string) string {
		out := filepath.Join(t.TempDir(), "tls.pk8")
		tool(t, "openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "DER", "-out", out)
		return out
	}
	p12 := filepath.Join(t.TempDir(), "tls.p12")
	tool(t, "openssl", "pkcs12", "-export", "-in", certificate, "-inkey", key, "-name", "user", "-passout", "pass:s3cret", "-out", p12)
	for name, tc := range map[string]struct {
		reason, protocol string
		env              []string
		refused          string
	}{
		"PKCS8":       {"certificate in PEM, key in DER", "TLSv1.3", []string{"sslcert=" + certificate, "sslkey=" + pk8(key)}, ""},
		"PKCS8TLS12":  {"the certificate comes before the handshake's end there", "TLSv1.2", []string{"sslcert=" + certificate, "sslkey=" + pk8(key)}, ""},
		"PKCS12":      {"both in one file", "TLSv1.3", []string{"sslkey=" + p12, "sslpassword=s3cret"}, ""},
		"PKCS12TLS12": {"and with TLS 1.2", "TLSv1.2", []string{"sslkey=" + p12, "sslpassword=s3cret"}, ""},
		"Foreign":     {"a certificate of somebody else's proves nobody", "TLSv1.3", []string{"sslcert=" + foreign, "sslkey=" + pk8(foreignKey)}, "no password was provided"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.Log.OfType(record.SessionStart))
			command := exec.CommandContext(deadline(t), "java", "-XX:TieredStopAtLevel=1", "-Djdk.tls.client.protocols="+tc.protocol,
				"-cp", jdbcDriver, filepath.Join("testdata", "Certificate.java"))
			root := written(t, r.CAPEM)
			command.Env = append([]string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "url=jdbc:postgresql://" + s.Address + "/shop", "user=root", "sslrootcert=" + root,
			}, tc.env...)
			out, err := command.CombinedOutput()
			if tc.refused != "" {
				if err == nil || !strings.Contains(string(out), tc.refused) || len(r.Log.OfType(record.SessionStart)) != before {
					t.Errorf("%s: want it refused with %q: %v %s", tc.reason, tc.refused, err, out)
				}
				return
			}
			if err != nil || strings.TrimSpace(string(out)) != "1000" {
				t.Fatalf("%s: %v %s", tc.reason, err, out)
			}
			if who := started(t, r); who.UserName != "ann" || who.Method != "client-certificate" || who.Credential.ID != credentialID {
				t.Errorf("%s: on record is %+v", tc.reason, who)
			}
		})
	}
}

// tool runs a program that must succeed.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s (run `make install-deps`)", name, err, out)
	}
}
