// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Renew says whether a serving certificate must be issued anew: it is missing,
// broken, for other names, signed by an authority outside the bundle, or has
// less than a third of its life left.
func Renew(pair Pair, names []string, bundle []byte, now time.Time) bool {
	if _, err := tls.X509KeyPair(pair.Certificate, pair.Key); err != nil {
		return true
	}
	certificate, err := parseCertificate(pair.Certificate)
	if err != nil {
		return true
	}
	if !now.Before(RenewAt(certificate)) {
		return true
	}
	if !slices.Equal(sorted(subjectNames(certificate)), sorted(names)) {
		return true
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err != nil
}

// RenewAt is when two thirds of a certificate's life are over.
func RenewAt(certificate *x509.Certificate) time.Time {
	return certificate.NotBefore.Add(certificate.NotAfter.Sub(certificate.NotBefore) * 2 / 3)
}

// RenewAtPEM is RenewAt of the first certificate of a PEM text; the zero time if
// there is none.
func RenewAtPEM(data []byte) time.Time {
	certificate, err := parseCertificate(data)
	if err != nil {
		return time.Time{}
	}
	return RenewAt(certificate)
}

// Holds says whether a PEM text begins with a certificate that an authority of the
// bundle signed for a name, and that is valid now.
func Holds(data []byte, name string, bundle []byte, now time.Time) bool {
	certificate, err := parseCertificate(data)
	if err != nil || certificate.VerifyHostname(name) != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err == nil
}

// Refused returns an error naming the names that the constraints forbid.
func Refused(constraints Constraints, names []string) error {
	var refused []string
	for _, name := range names {
		if !constraints.Permits(name) {
			refused = append(refused, fmt.Sprintf("%q", name))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return fmt.Errorf("the certificate authority is not permitted to sign %s: start the manager with "+
		"--ca-permitted-domains or --ca-permitted-ranges that include it, or choose another server name", strings.Join(refused, ", "))
}

func subjectNames(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

func sorted(names []string) []string {
	all := make([]string, 0, len(names))
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			name = ip.String()
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
