// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/record"
)

// Request codes that take the place of a protocol version in a startup packet.
const (
	codeCancel = 1234<<16 | 5678
	codeTLS    = 1234<<16 | 5679
	codeGSS    = 1234<<16 | 5680
)

// startupBound is how long a client may take until its token has arrived.
const startupBound = 30 * time.Second

// writeBound is how long a closing message may take to be sent.
const writeBound = 500 * time.Millisecond

// startup is what a client said before it was asked for its token.
type startup struct {
	user, database, application string
	// passed are the parameters that go to the target.
	passed map[string]string
	// minor is set where the client asked for a newer minor protocol version
	// or for protocol options.
	negotiate *pgproto3.NegotiateProtocolVersion
}

// rejection is a client that is turned away before it is proven.
type rejection struct{ refusal *access.Refusal }

func (r *rejection) Error() string { return r.refusal.Error() }

func reject(code, hint, format string, args ...any) error {
	return &rejection{&access.Refusal{Reason: access.ReasonProtocol, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}}
}

// errCancelRequest says that the connection only carried a cancel request.
var errCancelRequest = errors.New("cancel request")

// The Connection's namespace is not told to a client that is not proven.
const tlsHint = "Connect with sslmode=verify-full sslrootcert=ca.crt: the token is a password and is never asked for in the clear. " +
	`The CA: kubectl -n <namespace of the Connection> get configmap doorward-trust-bundle -o jsonpath='{.data.ca\.crt}' > ca.crt`

// negotiate reads startup packets until the client has said who it is, inside
// TLS. Where TLS came to be, secured is set also on error.
func negotiate(ctx context.Context, conn net.Conn, entry *access.Entry) (secured *tls.Conn, packet []byte, err error) {
	current := conn
	askedGSS := false
	for {
		packet, err = readStartupPacket(current)
		if err != nil {
			return secured, nil, err
		}
		switch code := binary.BigEndian.Uint32(packet); {
		case code == codeGSS && len(packet) == 4 && secured == nil && !askedGSS:
			askedGSS = true
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return nil, nil, err
			}
		case code == codeTLS && len(packet) == 4 && secured == nil:
			// Nothing was read beyond the request. Bytes that a client, or
			// somebody on its way, sent behind it meet the TLS handshake and
			// break it: they are never read as part of the session.
			if _, err := conn.Write([]byte{'S'}); err != nil {
				return nil, nil, err
			}
			if secured, err = entry.StartTLS(ctx, conn); err != nil {
				return nil, nil, &rejection{&access.Refusal{Reason: access.ReasonProtocol, Code: stateProtocolViolation, Message: err.Error()}}
			}
			current = secured
		case code == codeCancel:
			return secured, packet, errCancelRequest
		case code == codeTLS, code == codeGSS:
			return secured, nil, reject(stateProtocolViolation, "", "encryption was asked for out of turn")
		case secured == nil:
			return nil, nil, reject(stateInvalidAuth, tlsHint, "this connection needs TLS")
		default:
			return secured, packet, nil
		}
	}
}

// readStartupPacket reads one packet without its length, and not a byte more.
func readStartupPacket(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 8 || n > maxStartup {
		hint := ""
		if length[0] == 0x16 {
			hint = "Direct TLS is not spoken here: connect with sslnegotiation=postgres."
		}
		return nil, reject(stateProtocolViolation, hint, "invalid length of startup packet: %d", n)
	}
	packet := make([]byte, n-4)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, unexpected(err)
	}
	return packet, nil
}

// parseStartup reads a StartupMessage. Parameters are taken by name; whatever
// is not listed is refused, since the target would act on it.
func parseStartup(packet []byte) (startup, error) {
	s := startup{passed: map[string]string{}}
	version := binary.BigEndian.Uint32(packet)
	if version>>16 != 3 {
		return s, reject(stateFeatureNotSupported, "", "protocol version %d.%d is not supported, only 3.0", version>>16, version&0xffff)
	}
	if version&0xffff > 0 {
		s.negotiate = &pgproto3.NegotiateProtocolVersion{}
	}
	rest := packet[4:]
	seen := map[string]bool{}
	for {
		name, more, err := cutText(rest)
		if err != nil {
			return s, err
		}
		if name == "" {
			if len(more) > 0 {
				return s, reject(stateProtocolViolation, "", "startup packet has %d bytes after its end", len(more))
			}
			break
		}
		value, more, err := cutText(more)
		if err != nil {
			return s, err
		}
		rest = more
		if seen[name] {
			return s, reject(stateProtocolViolation, "", "startup parameter %q is given twice", name)
		}
		seen[name] = true
		if err := s.parameter(name, value); err != nil {
			return s, err
		}
	}
	if s.user == "" {
		return s, reject(stateInvalidAuth, "Give any user name; the token says who you are.", "no user name in the startup packet")
	}
	if s.database == "" {
		s.database = s.user // as the server does
	}
	return s, nil
}

func cutText(b []byte) (string, []byte, error) {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return "", nil, reject(stateProtocolViolation, "", "startup packet has no terminator")
	}
	return string(b[:end]), b[end+1:], nil
}

// passedOn are the parameters that only shape how values are shown or bound
// the caller's own statements. Names are compared in lower case, as the server does.
var passedOn = []string{
	"datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output",
	"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
}

// maxParameter bounds the value of a startup parameter, in bytes.
const maxParameter = 256

func (s *startup) parameter(name, value string) error {
	lower := strings.ToLower(name)
	switch {
	case lower == "user":
		s.user = value
	case lower == "database":
		s.database = value
	case lower == "application_name":
		s.application = value
	case lower == "client_encoding":
		return checkEncoding(value)
	case strings.HasPrefix(lower, "_pq_."):
		if s.negotiate == nil {
			s.negotiate = &pgproto3.NegotiateProtocolVersion{}
		}
		s.negotiate.UnrecognizedOptions = append(s.negotiate.UnrecognizedOptions, name)
	case slices.Contains(passedOn, lower):
		if len(value) > maxParameter || oneLine(value) != value {
			return reject(stateInvalidParameter, "", "value of startup parameter %q is too long or holds control characters", name)
		}
		s.passed[lower] = value
	case lower == "replication":
		return reject(stateFeatureNotSupported, "Connect without replication.", "replication connections are never forwarded")
	case lower == "options", lower == "search_path":
		return reject(stateFeatureNotSupported, fmt.Sprintf("Connect without %s, and qualify names in statements.", lower),
			"startup parameter %q is not accepted: it would change what statements mean", name)
	default:
		return reject(stateFeatureNotSupported, "Accepted are application_name, client_encoding and "+strings.Join(passedOn, ", ")+".",
			"startup parameter %q is not accepted", name)
	}
	return nil
}

// checkEncoding accepts UTF8 in all its spellings. SQL_ASCII means "whatever
// there is" and is what clients send in the C locale; they are told UTF8.
func checkEncoding(value string) error {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "", "'", "", `"`, "", " ", "").Replace(value)) {
	case "utf8", "unicode", "sqlascii":
		return nil
	}
	return reject(stateInvalidParameter, "Set PGCLIENTENCODING=UTF8.", "client_encoding %q is not accepted, only UTF8", value)
}

// askToken asks for the token and reads it. Only inside TLS.
func askToken(conn *tls.Conn) (string, error) {
	if _, err := conn.Write(encode(nil, &pgproto3.AuthenticationCleartextPassword{})); err != nil {
		return "", err
	}
	// Exactly one message is read: nothing of what follows is buffered away.
	var header [headerLength]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return "", err
	}
	kind, n, err := parseHeader(header[:], func(byte) int { return maxPassword })
	if err != nil {
		return "", reject(stateProtocolViolation, "", "the password message is too long or malformed")
	}
	if kind != msgPassword {
		return "", reject(stateProtocolViolation, "", "expected a password message, got %q", kind)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(conn, raw); err != nil {
		return "", unexpected(err)
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

// attributes are what the session's start records of the client's own words.
func (s *startup) attributes() []record.Attribute {
	return []record.Attribute{
		{Name: "database", Value: s.database},
		{Name: "requestedUser", Value: s.user},
		{Name: "applicationName", Value: s.application},
	}
}
