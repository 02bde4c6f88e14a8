// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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
	// authentication is how the client wants to be asked for its token; empty
	// where it did not say.
	authentication string
	// negotiate answers a client that asked for a newer minor protocol version
	// or for protocol options; nil where there is nothing to answer.
	negotiate *pgproto3.NegotiateProtocolVersion
	// longKey says that the client takes a cancel key of protocol 3.2.
	longKey bool
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

// errPeer says that the connection is that of another proxy.
var errPeer = errors.New("peer")

// negotiate reads startup packets until the client has said who it is, inside
// TLS. Where TLS came to be, secured is set also on error. Peers, where there may
// be any, name their own ALPN protocol.
func negotiate(ctx context.Context, conn net.Conn, entry *access.Entry, peers ...string) (secured *tls.Conn, packet []byte, err error) {
	current := conn
	askedGSS := false
	for {
		var length [4]byte
		if _, err = io.ReadFull(current, length[:]); err != nil {
			return secured, nil, err
		}
		if length[0] == recordHandshake && secured == nil && !askedGSS {
			// No startup packet begins so: it would be larger than any may be.
			if secured, err = directTLS(ctx, conn, length, entry, peers); err != nil {
				return secured, nil, err
			}
			current = secured
			continue
		}
		packet, err = readStartupPacket(current, length)
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
			if secured, err = startTLS(ctx, conn, entry); err != nil {
				return nil, nil, err
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

// recordHandshake is the first byte of a TLS handshake (RFC 8446, section 5.1).
const recordHandshake = 0x16

// startTLS takes the client's handshake. A client that names protocols (ALPN)
// must name this one.
func startTLS(ctx context.Context, conn net.Conn, entry *access.Entry, peers ...string) (*tls.Conn, error) {
	secured, err := entry.StartTLS(ctx, conn, append([]string{alpn}, peers...)...)
	if err != nil {
		return nil, &rejection{&access.Refusal{Reason: access.ReasonProtocol, Code: stateProtocolViolation, Message: err.Error()}}
	}
	return secured, nil
}

// directTLS takes the handshake of a client that begins with it
// (sslnegotiation=direct). Such a client must name the protocol, so that what
// was meant for a server of another kind is not taken here.
func directTLS(ctx context.Context, conn net.Conn, begun [4]byte, entry *access.Entry, peers []string) (*tls.Conn, error) {
	secured, err := startTLS(ctx, &prefixed{Conn: conn, prefix: begun[:]}, entry, peers...)
	if err != nil {
		return nil, err
	}
	switch chosen := secured.ConnectionState().NegotiatedProtocol; {
	case slices.Contains(peers, chosen):
		return secured, errPeer
	case chosen != alpn:
		return secured, reject(stateProtocolViolation, "Connect with sslnegotiation=postgres, or with a client that names the ALPN protocol "+alpn+".",
			"direct TLS without the ALPN protocol %q", alpn)
	}
	return secured, nil
}

// prefixed gives out bytes that were read already before it reads on.
type prefixed struct {
	net.Conn
	prefix []byte
}

// NetConn is the connection that the bytes came from.
func (p *prefixed) NetConn() net.Conn { return p.Conn }

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// readStartupPacket reads one packet behind its length, and not a byte more.
func readStartupPacket(r io.Reader, length [4]byte) ([]byte, error) {
	n := binary.BigEndian.Uint32(length[:])
	if n < 8 || n > maxStartup {
		return nil, reject(stateProtocolViolation, "", "invalid length of startup packet: %d", n)
	}
	packet := make([]byte, n-4)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, unexpected(err)
	}
	return packet, nil
}

// attributes are what the session's start records of the client's own words.
func (s *startup) attributes() []record.Attribute {
	return []record.Attribute{
		{Name: "database", Value: s.database},
		{Name: "requestedUser", Value: s.user},
		{Name: "applicationName", Value: s.application},
	}
}
