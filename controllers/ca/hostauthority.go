// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
)

// HostAuthority can sign SSH host certificates.
type HostAuthority struct {
	line   hostLine
	signer ssh.Signer
}

// NewHostAuthority makes an ed25519 key and the line by which callers trust it, for the
// names of the constraints. It begins and ends as the one of NewAuthority.
func NewHostAuthority(constraints Constraints, now time.Time) (Pair, error) {
	key, err := hostkey.New("Doorward SSH host authority")
	if err != nil {
		return Pair{}, err
	}
	signer, err := hostkey.ParsePrivate(key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot read back SSH key: %w", err)
	}
	line := hostLine{patterns: hostPatterns(constraints), key: signer.PublicKey(), begins: now.Add(-backdate), ends: now.Add(AuthorityLife)}
	return Pair{Certificate: line.encode(), Key: key}, nil
}

// LoadHost parses an authority of SSH host certificates.
func LoadHost(pair Pair) (*HostAuthority, error) {
	line, err := parseHostLine(pair.Certificate)
	if err != nil {
		return nil, fmt.Errorf("cannot load SSH host authority: %w", err)
	}
	signer, err := hostkey.ParsePrivate(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot load SSH host authority: its key: %w", err)
	}
	if !bytes.Equal(signer.PublicKey().Marshal(), line.key.Marshal()) {
		return nil, errors.New("cannot load SSH host authority: its key and its line of known_hosts do not belong together")
	}
	return &HostAuthority{line: line, signer: signer}, nil
}

// Certify signs a host certificate (OpenSSH PROTOCOL.certkeys) for the names, which must
// be permitted, for as long as Issue would. The key of the pair stays: callers who have
// pinned it know the proxies by it. There is a new one where it has none that can be
// read. id is the key id of the certificate, which callers may log.
func (a *HostAuthority) Certify(pair Pair, id string, names []string, now time.Time) (Pair, error) {
	principals, err := hostPrincipals(names)
	if err != nil {
		return Pair{}, err
	}
	key, err := hostkey.ParsePrivate(pair.Key)
	if err != nil {
		if pair.Key, err = hostkey.New(id); err != nil {
			return Pair{}, err
		}
		if key, err = hostkey.ParsePrivate(pair.Key); err != nil {
			return Pair{}, fmt.Errorf("cannot read back SSH key: %w", err)
		}
	}
	var serial [8]byte
	if _, err := rand.Read(serial[:]); err != nil {
		return Pair{}, fmt.Errorf("cannot make serial number: %w", err)
	}
	ends := now.Add(ServingLife)
	if ends.After(a.line.ends) {
		ends = a.line.ends
	}
	certificate := &ssh.Certificate{
		Key: key.PublicKey(), Serial: binary.BigEndian.Uint64(serial[:]), CertType: ssh.HostCert, KeyId: id, ValidPrincipals: principals,
		ValidAfter: uint64(now.Add(-backdate).Unix()), ValidBefore: uint64(ends.Unix()), //nolint:gosec // no instant before 1970
	}
	if err := certificate.SignCert(rand.Reader, a.signer); err != nil {
		return Pair{}, fmt.Errorf("cannot sign host certificate: %w", err)
	}
	return Pair{Certificate: ssh.MarshalAuthorizedKey(certificate), Key: pair.Key}, nil
}

// hostPrincipals are names as callers look for them in a certificate. One without any
// would be good for every host in the eyes of some, and a pattern for many.
func hostPrincipals(names []string) ([]string, error) {
	var principals []string
	for _, name := range sorted(names) {
		if net.ParseIP(name) == nil && strings.ContainsFunc(name, notInName) || name == "" {
			return nil, fmt.Errorf("cannot sign host certificate: not a name of a host: %q: write it in lower case, as example.org, or as an IP address", name)
		}
		principals = append(principals, name)
	}
	if len(principals) == 0 {
		return nil, errors.New("cannot sign host certificate: there is no server name")
	}
	return principals, nil
}

// RenewHost says whether a host certificate must be issued anew: it is missing, broken,
// not of the key, for other names, signed by an authority outside the bundle, or has
// less than a third of its life left.
func RenewHost(pair Pair, names []string, bundle []byte, now time.Time) bool {
	if _, err := hostkey.Parse(pair.Key, pair.Certificate); err != nil {
		return true
	}
	certificate, err := hostkey.ParseCertificate(pair.Certificate)
	if err != nil || !now.Before(renewHostAt(certificate)) || !slices.Equal(sorted(certificate.ValidPrincipals), sorted(names)) {
		return true
	}
	signer := certificate.SignatureKey.Marshal()
	if !slices.ContainsFunc(hostLines(bundle), func(l hostLine) bool { return bytes.Equal(l.key.Marshal(), signer) && now.Before(l.ends) }) {
		return true
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	return slices.ContainsFunc(certificate.ValidPrincipals, func(name string) bool { return checker.CheckCert(name, certificate) != nil })
}

// RenewHostAt is when two thirds of a host certificate's life are over; the zero time if
// there is none.
func RenewHostAt(pair Pair) time.Time {
	certificate, err := hostkey.ParseCertificate(pair.Certificate)
	if err != nil {
		return time.Time{}
	}
	return renewHostAt(certificate)
}

func renewHostAt(certificate *ssh.Certificate) time.Time {
	// A time that is not within 64 bits is not one that the manager signed.
	begins, ends := int64(certificate.ValidAfter), int64(certificate.ValidBefore) //nolint:gosec // see above
	if begins < 0 || ends < begins {
		return time.Time{}
	}
	from := time.Unix(begins, 0)
	return from.Add(time.Unix(ends, 0).Sub(from) * 2 / 3)
}
