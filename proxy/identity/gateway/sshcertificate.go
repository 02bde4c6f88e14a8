// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
)

// StatementOption is the critical option of an SSH certificate (OpenSSH,
// PROTOCOL.certkeys) that holds the Statement as JSON. A critical option and no extension:
// an sshd that does not know one refuses the certificate, so that it is good at gateways
// alone, even where somebody has made the manager's login key an authority of accounts.
const StatementOption = "statement@doorward.dev"

const (
	maxPrincipals     = 16
	maxPrincipalBytes = 256
)

// SSHCertificate is a Statement as an SSH user certificate for the public key of the
// caller. The names, which are its principals and in its key id, are for people who read
// it; proxies do not. The serial number is the first half of the credential's id.
func (a *Authority) SSHCertificate(s Statement, key ssh.PublicKey, names []string) (*ssh.Certificate, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if _, nested := key.(*ssh.Certificate); nested || key == nil {
		return nil, errors.New("cannot sign the certificate: want a plain public key: give the one that its certificate is for")
	}
	if err := checkPrincipals(names); err != nil {
		return nil, fmt.Errorf("cannot sign the certificate: %w", err)
	}
	statement, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the statement: %w", err)
	}
	id, err := hex.DecodeString(s.ID)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the statement's id: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the certificate: %w", err)
	}
	certificate := &ssh.Certificate{
		Key: key, CertType: ssh.UserCert, Serial: binary.BigEndian.Uint64(id),
		KeyId: fmt.Sprintf("%s, gateway credential %s", strings.Join(names, " "), s.ID), ValidPrincipals: names,
		ValidAfter: uint64(s.IssuedAt.Unix()), ValidBefore: uint64(s.ExpiresAt.Unix()), //nolint:gosec // after 1970, by check
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{StatementOption: string(statement)}},
	}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		return nil, fmt.Errorf("cannot sign the certificate: %w", err)
	}
	return certificate, nil
}

// checkPrincipals refuses what readers of principals have taken for something else: none,
// which OpenSSH takes for every account, and lists in one (CVE-2026-35414).
func checkPrincipals(names []string) error {
	if len(names) == 0 || len(names) > maxPrincipals {
		return fmt.Errorf("want 1 to %d principals: %d", maxPrincipals, len(names))
	}
	for _, name := range names {
		if name == "" || len(name) > maxPrincipalBytes || strings.ContainsRune(name, ',') || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
			return fmt.Errorf("want principals of 1 to %d bytes that can be seen, without commas and spaces: %q", maxPrincipalBytes, identity.Shorten(name))
		}
	}
	return nil
}
