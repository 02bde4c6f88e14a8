// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Bounds on what a target may say before it is ready, so that one that was
// taken over keeps the proxy neither busy nor full.
const (
	maxGreetingMessage = 64 << 10
	maxGreetingBytes   = 256 << 10
	maxGreetingCount   = 256
	// maxIterations bounds the work that a target asks for with SCRAM, which
	// nothing interrupts: less than a second. PostgreSQL's own default is 4096.
	maxIterations = 1_000_000
	// minIterations is the least that is taken where anybody may pose as the
	// target (RFC 7677, section 4): less work makes the password easy to guess.
	minIterations = 4096
	// maxCancelKey is the protocol's bound on a cancel key, in bytes.
	maxCancelKey = 256
)

// errGreeting is a target that did not keep to the protocol, or asked for what
// it does not get.
var errGreeting = errors.New("the target's greeting is refused")

// Kinds of AuthenticationRequest.
const (
	authOK           = 0
	authCleartext    = 3
	authMD5          = 5
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

var authNames = map[uint32]string{
	authOK: "none", 2: "Kerberos V5", authCleartext: "a password in clear text", authMD5: "an MD5 password",
	6: "an SCM credential", 7: "GSSAPI", 8: "GSSAPI", 9: "SSPI", authSASL: "SASL",
	authSASLContinue: "SASL", authSASLFinal: "SASL",
}

// guard reads a target's messages before pgconn does, up to the first
// ReadyForQuery. It hands on whole messages that came in their turn, one
// exchange of authentication among them, and reads no byte ahead; after that it
// is not in the way.
type guard struct {
	r io.Reader
	// verified says that the connection is inside verified TLS, password that
	// there is one to send.
	verified, password bool

	ready []byte // what pgconn has not taken yet
	open  bool   // past the first ReadyForQuery
	// turn are the kinds of AuthenticationRequest that may come now.
	turn []uint32
	// begun says that there was one, proven that it let the proxy in, keyed that
	// there was a cancel key.
	begun, proven, keyed bool
	count, total         int // messages, and bytes of their bodies
	failure              error
}

func newGuard(r io.Reader, verified, password bool) *guard {
	g := &guard{r: r, verified: verified, password: password, turn: []uint32{authOK}}
	if password {
		g.turn = append(g.turn, authSASL)
		if verified {
			// A password that a listener on the way could read or crack is never sent.
			g.turn = append(g.turn, authCleartext, authMD5)
		}
	}
	return g
}

// Read implements io.Reader.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.ready) == 0 {
		if g.open {
			return g.r.Read(p)
		}
		if g.failure != nil {
			return 0, g.failure
		}
		if g.failure = g.next(); g.failure != nil {
			return 0, g.failure
		}
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	return n, nil
}

// next reads one message and checks it.
func (g *guard) next() error {
	var header [headerLength]byte
	if _, err := io.ReadFull(g.r, header[:]); err != nil {
		return err
	}
	kind, n, err := parseHeader(header[:], func(byte) int { return maxGreetingMessage })
	if err != nil {
		return fmt.Errorf("%w: %w", errGreeting, err)
	}
	if g.count, g.total = g.count+1, g.total+n; g.count > maxGreetingCount || g.total > maxGreetingBytes {
		return fmt.Errorf("%w: it has more than %d messages or %d bytes", errGreeting, maxGreetingCount, maxGreetingBytes)
	}
	message := make([]byte, headerLength+n)
	copy(message, header[:])
	if _, err := io.ReadFull(g.r, message[headerLength:]); err != nil {
		return unexpected(err)
	}
	if err := g.check(kind, message[headerLength:]); err != nil {
		return fmt.Errorf("%w: %w", errGreeting, err)
	}
	g.ready = message
	return nil
}

// check says whether a message may come now (PostgreSQL manual, section 54.2.1).
func (g *guard) check(kind byte, body []byte) error {
	switch kind {
	case 'R':
		return g.authentication(body)
	case 'E', 'N':
		return nil
	case 'v': // NegotiateProtocolVersion; the oldest version there is was asked for
		return errors.New("it negotiates another protocol version than 3.0")
	case 'S':
		if g.proven {
			return nil
		}
	case 'K':
		if g.proven && !g.keyed {
			if g.keyed = true; len(body) < 8 || len(body) > 4+maxCancelKey {
				return fmt.Errorf("its cancel key has %d bytes", len(body))
			}
			return nil
		}
	case 'Z':
		if g.proven {
			g.open = true
			return nil
		}
	}
	return fmt.Errorf("message %q came out of turn", kind)
}

func (g *guard) authentication(body []byte) error {
	if len(body) < 4 {
		return errors.New("an authentication request has no kind")
	}
	kind := binary.BigEndian.Uint32(body)
	wanted := false
	for _, allowed := range g.turn {
		wanted = wanted || allowed == kind
	}
	if !wanted {
		name, known := authNames[kind]
		if !known {
			name = strconv.FormatUint(uint64(kind), 10)
		}
		switch {
		case kind == authOK:
			return errors.New("it lets the proxy in before it has proven itself")
		case g.proven || g.begun:
			return fmt.Errorf("it asks for authentication (%s) out of turn", name)
		case !g.password:
			return fmt.Errorf("it asks for authentication (%s), and the credential has no password", name)
		case !g.verified:
			return fmt.Errorf("it asks for authentication (%s), which is not given without verified TLS", name)
		default:
			return fmt.Errorf("it asks for authentication (%s), which is not supported", name)
		}
	}
	g.begun = true
	switch kind {
	case authOK:
		g.proven, g.turn = true, nil
	case authCleartext, authMD5, authSASLFinal:
		g.turn = []uint32{authOK}
	case authSASL:
		g.turn = []uint32{authSASLContinue}
	case authSASLContinue:
		g.turn = []uint32{authSASLFinal}
		return g.iterations(body[4:])
	}
	return nil
}

// iterations bounds the work of SCRAM (RFC 5802, section 5.1, attribute i).
func (g *guard) iterations(serverFirst []byte) error {
	for attribute := range bytes.SplitSeq(serverFirst, []byte{','}) {
		value, found := bytes.CutPrefix(attribute, []byte("i="))
		if !found {
			continue
		}
		n, err := strconv.ParseUint(string(value), 10, 32)
		switch {
		case err != nil || n < 1 || n > maxIterations:
			return fmt.Errorf("it asks for %.20q iterations of SCRAM, at most %d are done", value, maxIterations)
		case !g.verified && n < minIterations:
			return fmt.Errorf("it asks for %d iterations of SCRAM, without verified TLS at least %d are done", n, minIterations)
		}
		return nil
	}
	return errors.New("it does not say how many iterations of SCRAM it asks for")
}
