// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/testcert"
)

func TestIssue(t *testing.T) {
	ca, err := testcert.NewCA("ca")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM)
	for name, tc := range map[string]struct {
		reason  string
		request testcert.Request
		verify  x509.VerifyOptions
		expired bool
	}{
		"server": {
			reason:  "names and addresses are in the certificate",
			request: testcert.Request{CommonName: "s", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}},
			verify:  x509.VerifyOptions{DNSName: "127.0.0.1", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		},
		"client": {
			reason:  "a user's groups are organizations",
			request: testcert.Request{CommonName: "alice", Groups: []string{"analysts"}},
			verify:  x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		},
		"expired": {
			reason:  "tests of expiry need one",
			request: testcert.Request{CommonName: "old", NotAfter: time.Now().Add(-time.Minute)},
			verify:  x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
			expired: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := ca.Issue(tc.request)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
			if err != nil {
				t.Fatal(err)
			}
			tc.verify.Roots = roots
			_, err = loaded.Leaf.Verify(tc.verify)
			var invalid x509.CertificateInvalidError
			if isExpired := errors.As(err, &invalid) && invalid.Reason == x509.Expired; isExpired != tc.expired || err != nil && !isExpired {
				t.Errorf("%s: got %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.request.Groups, loaded.Leaf.Subject.Organization); diff != "" {
				t.Errorf("organizations (-want +got):\n%s", diff)
			}
		})
	}
}
