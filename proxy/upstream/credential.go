// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Password is a target's password. It never prints: every formatter, encoder
// and logger sees [redacted].
type Password struct {
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

// String hides the password.
func (Password) String() string { return "[redacted]" }

// GoString hides the password from %#v.
func (Password) GoString() string { return "[redacted]" }

// Format hides the password from every verb, also %x and %d.
func (Password) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("[redacted]")) }

// MarshalText hides the password from encoders and loggers.
func (Password) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Secret is what the target wants to see.
type Secret struct {
	Username string
	// Password may be empty where there is a Certificate.
	Password Password
	// Certificate is shown to a target that asks for one in the TLS handshake.
	Certificate Certificate
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
)

// secretFiles are those that nobody but the proxy may read.
var secretFiles = []string{filePassword, fileKey}

// assemble makes a Secret of its keys, where they permit the use. Values lose
// one line end, which editors and shells add. A password, a certificate with
// its key, or both prove the proxy. Errors name keys, never values.
func assemble(read func(name string) ([]byte, error), use Use) (Secret, error) {
	values := map[string]string{}
	for _, name := range []string{fileConnection, fileAddresses, fileUsername, filePassword, fileCertificate, fileKey} {
		raw, err := read(name)
		optional := name == filePassword || name == fileCertificate || name == fileKey
		if optional && errors.Is(err, fs.ErrNotExist) {
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
	for _, name := range append([]string{fileUsername, fileCertificate}, secretFiles...) {
		if value, present := values[name]; present && value == "" {
			return Secret{}, fmt.Errorf("key must not be empty: %q", name)
		}
	}
	secret := Secret{Username: values[fileUsername]}
	if password, present := values[filePassword]; present {
		secret.Password = NewPassword(password)
	}
	certificate, hasCertificate := values[fileCertificate]
	key, hasKey := values[fileKey]
	switch {
	case hasCertificate && hasKey:
		var err error
		if secret.Certificate, err = NewCertificate([]byte(certificate), []byte(key)); err != nil {
			return Secret{}, err
		}
	case hasCertificate:
		return Secret{}, fmt.Errorf("key is missing: %q: it belongs to %q: %w", fileKey, fileCertificate, fs.ErrNotExist)
	case hasKey:
		return Secret{}, fmt.Errorf("key is missing: %q: it belongs to %q: %w", fileCertificate, fileKey, fs.ErrNotExist)
	case secret.Password.value == nil:
		return Secret{}, fmt.Errorf("key is missing: %q, or a client certificate: %q and %q: %w", filePassword, fileCertificate, fileKey, fs.ErrNotExist)
	}
	return secret, nil
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
