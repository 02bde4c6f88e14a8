// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Password is a target's password. It never prints: every formatter, encoder
// and logger sees [redacted].
type Password struct {
	redacted
	// A pointer, since a formatter that meets a Password in an unexported
	// field calls no method of it and prints what it finds: an address.
	value *string
}

// NewPassword wraps a password.
func NewPassword(value string) Password { return Password{value: &value} }

// Reveal returns the password, for the one place that sends it to the target.
func (p Password) Reveal() string {
	if p.value == nil {
		return ""
	}
	return *p.value
}

// Secret is what the target wants to see.
type Secret struct {
	Username string
	// Password may be empty where there is a Certificate.
	Password Password
	// Certificate is shown to a target that asks for one in the TLS handshake.
	Certificate Certificate
	// SSHKey is the proxy's own key at an SSH target.
	SSHKey SSHKey
	// SSHAuthority is the key of an authority that an SSH target trusts.
	SSHAuthority SSHKey
}

// Use says what a credential is wanted for.
type Use struct {
	// Namespace and Name are those of the Connection.
	Namespace, Name string
	// Target is the address that was dialled.
	Target Target
}

// CredentialSource hands out a target's credential. It is asked for each
// session, so that a rotated credential is used from the next session on, and
// it must refuse a use that the credential does not name.
type CredentialSource interface {
	Get(ctx context.Context, use Use) (Secret, error)
}

// The keys of a Secret of type doorward.dev/credential; the files of a
// credential directory.
const (
	fileUsername   = "username"
	filePassword   = "password"
	fileConnection = "connection"
	fileAddresses  = "addresses"
	// The optional keys, of a Secret of type kubernetes.io/tls too.
	fileCertificate = "tls.crt"
	fileKey         = "tls.key"
	// The optional keys for SSH. The first is that of a Secret of type
	// kubernetes.io/ssh-auth.
	fileSSHKey       = "ssh-privatekey"
	fileSSHAuthority = "ssh-ca-key"
)

// secretFiles are those that nobody but the proxy may read.
var secretFiles = []string{filePassword, fileKey, fileSSHKey, fileSSHAuthority}

// proofs are those that may be missing: each proves the proxy, or helps to.
var proofs = append([]string{fileCertificate}, secretFiles...)

// assemble makes a Secret of its keys, where they permit the use. Values lose
// one line end, which editors and shells add. Errors name keys, never values.
func assemble(read func(name string) ([]byte, error), use Use) (Secret, error) {
	values := map[string]string{}
	for _, name := range append([]string{fileConnection, fileAddresses, fileUsername}, proofs...) {
		raw, err := read(name)
		if slices.Contains(proofs, name) && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Secret{}, err
		}
		value, found := strings.CutSuffix(string(raw), "\r\n")
		if !found {
			value = strings.TrimSuffix(value, "\n")
		}
		if strings.ContainsRune(value, 0) {
			return Secret{}, fmt.Errorf("key holds a NUL byte: %q", name)
		}
		values[name] = value
	}
	if err := permits(values[fileConnection], values[fileAddresses], use); err != nil {
		return Secret{}, err
	}
	for _, name := range append([]string{fileUsername}, proofs...) {
		if value, present := values[name]; present && value == "" {
			return Secret{}, fmt.Errorf("key must not be empty: %q", name)
		}
	}
	secret := Secret{Username: values[fileUsername]}
	if err := secret.prove(values); err != nil {
		return Secret{}, err
	}
	return secret, nil
}

// prove takes what proves the proxy: a password, a client certificate with its
// key, or both; or, for SSH, a private key or the key of an authority, each
// also beside a password, for targets that ask for both.
func (s *Secret) prove(values map[string]string) (err error) {
	has := func(name string) bool { _, present := values[name]; return present }
	switch {
	case has(fileCertificate) && !has(fileKey):
		return fmt.Errorf("key is missing: %q: it belongs to %q: %w", fileKey, fileCertificate, fs.ErrNotExist)
	case has(fileKey) && !has(fileCertificate):
		return fmt.Errorf("key is missing: %q: it belongs to %q: %w", fileCertificate, fileKey, fs.ErrNotExist)
	case has(fileSSHKey) && has(fileSSHAuthority):
		return fmt.Errorf("keys do not go together: %q and %q: the target's log names the caller with the second only, "+
			"so that nobody could tell which it does: remove one", fileSSHKey, fileSSHAuthority)
	case has(fileKey) && (has(fileSSHKey) || has(fileSSHAuthority)):
		return fmt.Errorf("keys do not go together: %q is for TLS, %q and %q are for SSH: remove what the Connection's protocol does not use",
			fileKey, fileSSHKey, fileSSHAuthority)
	case !slices.ContainsFunc(secretFiles, has):
		return fmt.Errorf("key is missing: %q, or a client certificate: %q and %q, or for SSH %q or %q: %w",
			filePassword, fileCertificate, fileKey, fileSSHKey, fileSSHAuthority, fs.ErrNotExist)
	}
	if has(filePassword) {
		s.Password = NewPassword(values[filePassword])
	}
	if has(fileCertificate) {
		if s.Certificate, err = NewCertificate([]byte(values[fileCertificate]), []byte(values[fileKey])); err != nil {
			return err
		}
	}
	if has(fileSSHKey) {
		if s.SSHKey, err = NewSSHKey(fileSSHKey, []byte(values[fileSSHKey])); err != nil {
			return err
		}
	}
	if has(fileSSHAuthority) {
		if s.SSHAuthority, err = NewSSHKey(fileSSHAuthority, []byte(values[fileSSHAuthority])); err != nil {
			return err
		}
	}
	return nil
}

// ErrCredentialMisuse is wrapped by the error of a credential that does not
// name the Connection or the address it was asked for.
var ErrCredentialMisuse = errors.New("credential is not meant for this use")

// permits checks that a credential's own words name the Connection and the
// very address: whoever can only write Connections cannot send it elsewhere.
func permits(connection, addresses string, use Use) error {
	connection = strings.TrimSpace(connection)
	if connection == "" || (connection != use.Name && connection != use.Namespace+"/"+use.Name) {
		return fmt.Errorf("%w: it names connection %q, asked for %q: set the key %q of the credential",
			ErrCredentialMisuse, connection, use.Namespace+"/"+use.Name, fileConnection)
	}
	var named []string
	for line := range strings.Lines(addresses) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		target, err := ParseTarget(line)
		if err != nil {
			return fmt.Errorf("%w: key %q of the credential: %w", ErrCredentialMisuse, fileAddresses, err)
		}
		if target.same(use.Target) {
			return nil
		}
		named = append(named, target.String())
	}
	return fmt.Errorf("%w: it names addresses %q, dialled %q: add the address to the key %q of the credential",
		ErrCredentialMisuse, named, use.Target.String(), fileAddresses)
}
