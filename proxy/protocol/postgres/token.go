// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
)

// authenticate has the client prove who it is: by a client certificate of the
// manager's, of which it has to say no more, by a token as its password, or by one in
// SASL. A server speaks first, and may offer only what the client
// takes, so that the Connection, or the client in its startup message, says
// which. Only inside TLS.
func (s *startup) authenticate(ctx context.Context, conn *tls.Conn, entry *access.Entry) (*access.Caller, error) {
	if caller, shown, err := entry.AuthenticateCertificate(ctx); shown {
		return caller, err
	}
	// The options that hold now decide how the client is asked. Those that the
	// session is opened under may be newer, and are read then.
	o, err := parseOptions(entry.Options())
	if err != nil {
		o = options{Authentication: authenticationPassword}
	}
	if s.authentication != "" {
		o.Authentication = s.authentication
	}
	if o.Authentication == authenticationOAuth {
		return authenticateOAuth(ctx, conn, entry, o.OAuth)
	}
	token, err := askPassword(conn)
	if err != nil {
		return nil, err
	}
	return entry.Authenticate(ctx, identity.BearerToken(token))
}

// askPassword asks for a token as the password.
func askPassword(conn *tls.Conn) (string, error) {
	if _, err := conn.Write(encode(nil, &pgproto3.AuthenticationCleartextPassword{})); err != nil {
		return "", err
	}
	raw, err := readPassword(conn)
	if err != nil {
		return "", err
	}
	token, err := decodeText(raw, "password")
	if err != nil {
		return "", reject(stateProtocolViolation, "", "malformed password message")
	}
	if token == "" {
		return "", reject(stateInvalidPassword, "Give a token of your identity provider as the password.", "no token was given as the password")
	}
	return token, nil
}

// readPassword reads one message of the client's part in authentication.
// Nothing of what follows is buffered away.
func readPassword(conn io.Reader) ([]byte, error) {
	var header [headerLength]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, err
	}
	kind, n, err := parseHeader(header[:], func(byte) int { return maxPassword })
	if err != nil {
		return nil, reject(stateProtocolViolation, "", "the password message is too long or malformed")
	}
	if kind != msgPassword {
		return nil, reject(stateProtocolViolation, "", "expected a password message, got %q", kind)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(conn, raw); err != nil {
		return nil, unexpected(err)
	}
	return raw, nil
}
