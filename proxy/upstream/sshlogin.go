// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/record"
)

const (
	// maxLoginName bounds a login name, in bytes: sshd cuts lines of its log at
	// 1024, and name and key id must both fit.
	maxLoginName = 128
	// maxKeyID bounds a key id, in bytes, for the same reason.
	maxKeyID = 640
	// maxCertificateLife bounds how long a certificate is valid. It is for one
	// handshake; sshd does not look at it again.
	maxCertificateLife = 30 * time.Minute
)

// sshExtensions are those that a user certificate may carry (OpenSSH
// PROTOCOL.certkeys, "Extensions").
var sshExtensions = []string{"permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"}

// SSHLogin is one login at an SSH target.
type SSHLogin struct {
	// User is the login name, which is the certificate's one principal.
	User string
	// KeyID names the caller in the target's log, in printable ASCII.
	KeyID string
	// From and Until are when a certificate is valid.
	From, Until time.Time
	// Extensions are what a certificate permits, such as "permit-pty".
	Extensions []string
}

// SSHSigner makes what proves the proxy in one login's handshake. With an
// authority's key it is a fresh key that only memory has ever seen, with a
// certificate for this login; with a private key it is that key. It is nil,
// without an error, where the credential has neither.
func (s *Secret) SSHSigner(login SSHLogin) (ssh.Signer, error) {
	if s.SSHAuthority.none() && s.SSHKey.none() {
		return nil, nil //nolint:nilnil // there is none, and another way to log in may be left
	}
	if err := loginName(login.User); err != nil {
		return nil, err
	}
	if s.SSHAuthority.none() {
		return hide(*s.SSHKey.value), nil
	}
	return certify(*s.SSHAuthority.value, login)
}

// certify makes a key and its certificate.
func certify(authority ssh.Signer, login SSHLogin) (ssh.Signer, error) {
	if err := login.certifiable(); err != nil {
		return nil, fmt.Errorf("cannot certify login: %w", err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make key for login: %w", err)
	}
	plain, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("cannot make key for login: %w", err)
	}
	own, err := modernSigner(plain)
	if err != nil {
		return nil, err
	}
	certificate := &ssh.Certificate{
		Key: own.PublicKey(), Serial: serial(), CertType: ssh.UserCert, KeyId: login.KeyID, ValidPrincipals: []string{login.User},
		ValidAfter: uint64(login.From.Unix()), ValidBefore: uint64(login.Until.Unix()), //nolint:gosec // after 1970, see certifiable
		Permissions: ssh.Permissions{Extensions: map[string]string{}},
	}
	for _, extension := range login.Extensions {
		certificate.Extensions[extension] = ""
	}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		return nil, fmt.Errorf("cannot certify login: key %q: %w", fileSSHAuthority, err)
	}
	certified, err := ssh.NewCertSigner(certificate, own)
	if err != nil {
		return nil, fmt.Errorf("cannot certify login: %w", err)
	}
	full, err := asMulti(certified)
	if err != nil {
		return nil, err
	}
	return hide(full), nil
}

// certifiable says why no certificate can be made for a login, or nil.
func (l *SSHLogin) certifiable() error {
	switch {
	case l.KeyID == "" || len(l.KeyID) > maxKeyID:
		return fmt.Errorf("key id has %d bytes, want 1 to %d", len(l.KeyID), maxKeyID)
	case slices.ContainsFunc([]byte(l.KeyID), func(b byte) bool { return b < ' ' || b > '~' || b == '"' || b == '\\' }):
		return errors.New("key id holds what sshd would not log as it is: want printable ASCII without quotes and backslashes")
	case l.From.Unix() <= 0 || !l.Until.After(l.From) || l.Until.Sub(l.From) > maxCertificateLife:
		return fmt.Errorf("it would be valid from %s until %s, want at most %s", l.From.UTC(), l.Until.UTC(), maxCertificateLife)
	}
	for _, extension := range l.Extensions {
		if !slices.Contains(sshExtensions, extension) {
			return fmt.Errorf("unknown extension: %q: want one of %q", extension, sshExtensions)
		}
	}
	return nil
}

// serial is a random number that is not 0, which means none.
func serial() uint64 {
	var random [8]byte
	// crypto/rand.Read never fails on supported platforms (Go 1.24).
	_, _ = rand.Read(random[:])
	return binary.BigEndian.Uint64(random[:]) | 1
}

func asMulti(s ssh.Signer) (ssh.MultiAlgorithmSigner, error) {
	full, ok := s.(ssh.MultiAlgorithmSigner)
	if !ok {
		return nil, errors.New("cannot certify login: the certificate's key cannot choose how it signs")
	}
	return full, nil
}

// loginName says why a name cannot be one of a login, or nil. A certificate
// without a principal is for everybody, one whose principal holds a comma is,
// to those who split lists, for several.
func loginName(name string) error {
	switch {
	case name == "":
		return errors.New("no login name for the target: set the key \"username\" of the credential, or spec.targetRole of a policy")
	case len(name) > maxLoginName:
		return fmt.Errorf("login name for the target is too long: %d bytes, want at most %d", len(name), maxLoginName)
	case strings.HasPrefix(name, "-") || strings.ContainsFunc(name, deceives):
		return fmt.Errorf("login name for the target: %q: want neither white space, a comma, a quote nor anything that does not show, and no - in front", name)
	}
	return nil
}

// deceives says whether a login name may not hold a character.
func deceives(r rune) bool {
	return r == ' ' || r == ',' || r == '"' || r == '\'' || r == '\uFFFD' || record.Deceives(r)
}
