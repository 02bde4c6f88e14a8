// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

const (
	// maxOpening bounds what a peer may send until it has proven itself, in bytes.
	maxOpening = 256 << 10
	// maxGreeting bounds what of it is looked at: the version, and the message with the
	// algorithms.
	maxGreeting = 16 << 10
	// maxVersion is that of a version, with its end (RFC 4253, section 4.2).
	maxVersion = 255
	// messageKexInit is SSH_MSG_KEXINIT (RFC 4253, section 12).
	messageKexInit = 20
	// keyExchangeFailed is SSH_DISCONNECT_KEY_EXCHANGE_FAILED (RFC 4253, section 11.1).
	keyExchangeFailed = 3
)

// The names by which a client and a server say that they know strict key exchange (OpenSSH,
// PROTOCOL section 1.9).
const (
	strictClient = "kex-strict-c-v00@openssh.com"
	strictServer = "kex-strict-s-v00@openssh.com"
)

// notSSH is what a client is told that does not speak SSH.
const notSSH = "Invalid SSH identification string.\r\n"

// Why an opening is refused.
var (
	errNotSSH    = errors.New("what was sent is not SSH 2.0")
	errTooLong   = errors.New("too much was sent before the login")
	errNotStrict = errors.New("the client does not know strict key exchange, without which messages can be taken out of the handshake unseen (CVE-2023-48795): update it")
)

// opening looks at what a peer sends until it is proven: the library does not say whether it
// knows strict key exchange, and bounds single messages only.
type opening struct {
	net.Conn
	// client says that the peer is one.
	client bool
	// gone, where set, is told the error by which the reading ends before the peer is proven.
	gone func(error)

	// heard is how many bytes came so far.
	heard  atomic.Int64
	proven atomic.Bool
	strict atomic.Bool
	// failed is why the peer was turned away; nil where it was not.
	failed atomic.Pointer[error]
	// proposed is closed once the library has sent its own algorithms, or no longer can; nil
	// where nobody waits for that.
	proposed chan struct{}
	once     sync.Once

	// greeted says that a client has been told the version, which the library is about to say again.
	greeted bool

	// What follows is for the one who reads.
	again  []byte // read by greet, and not yet by the library
	read   int
	seen   []byte
	looked bool
}

// greet exchanges versions with a client before the library does, since the algorithms that it is
// offered depend on its own (RFC 4253, section 4.2). One that is too long is left to the library.
func (o *opening) greet() (string, error) {
	if _, err := io.WriteString(o, version+"\r\n"); err != nil {
		return "", err
	}
	o.greeted = true
	// One byte at a time: what follows is looked at when the library has sent its own.
	var line []byte
	for next := make([]byte, 1); len(line) < maxVersion && !bytes.HasSuffix(line, []byte("\n")); {
		if _, err := io.ReadFull(o, next); err != nil {
			return "", err
		}
		line = append(line, next...)
	}
	o.again = line
	return string(bytes.TrimRight(line, "\r\n")), nil
}

// Read implements net.Conn.
func (o *opening) Read(p []byte) (int, error) {
	if len(o.again) > 0 {
		n := copy(p, o.again)
		o.again = o.again[n:]
		return n, nil
	}
	n, err := o.Conn.Read(p)
	o.heard.Add(int64(n))
	if o.proven.Load() {
		return n, err
	}
	if refused := o.look(p[:n]); refused != nil {
		o.failed.CompareAndSwap(nil, &refused)
		n, err = 0, refused
	}
	if err != nil && o.gone != nil {
		o.gone(err)
	}
	return n, err
}

// Write implements net.Conn. What follows the version is the message with the algorithms.
func (o *opening) Write(p []byte) (int, error) {
	own := bytes.HasPrefix(p, []byte("SSH-"))
	if own && o.greeted {
		o.greeted = false // what is encrypted may begin so, too
		return len(p), nil
	}
	n, err := o.Conn.Write(p)
	if o.proposed != nil && (err != nil || !own) {
		o.once.Do(func() { close(o.proposed) })
	}
	return n, err
}

// refused is why the peer was turned away, or nil.
func (o *opening) refused() error {
	if err := o.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// look takes the next bytes.
func (o *opening) look(more []byte) error {
	if o.read += len(more); o.read > maxOpening {
		return errTooLong
	}
	if o.looked {
		return nil
	}
	o.seen = append(o.seen, more...)
	algorithms, done, err := keyExchange(o.seen, o.client)
	switch {
	case err != nil:
		if o.client {
			_, _ = o.Conn.Write([]byte(notSSH)) // to whoever came by mistake, as sshd says it
		}
		return err
	case !done && len(o.seen) > maxGreeting:
		return errNotSSH
	case !done:
		return nil
	}
	o.looked, o.seen = true, nil
	name := strictServer
	if o.client {
		name = strictClient
	}
	o.strict.Store(strings.Contains(","+algorithms+",", ","+name+","))
	if o.client && !o.strict.Load() {
		// Nothing is encrypted yet, and the library writes whole messages. A peer that awaits
		// its algorithms first, as auditors do, is given them.
		if o.proposed != nil {
			within(o.proposed, loginBound)
		}
		_, _ = o.Conn.Write(disconnect(keyExchangeFailed, "Doorward: "+errNotStrict.Error()))
		return errNotStrict
	}
	return nil
}

// keyExchange finds the list of key exchanges in what a peer has sent first. Only servers may
// send other lines before their version (RFC 4253, section 4.2).
func keyExchange(seen []byte, client bool) (algorithms string, done bool, err error) {
	const prefix = "SSH-2.0-"
	for {
		if client && !bytes.HasPrefix(seen, []byte(prefix)[:min(len(prefix), len(seen))]) {
			return "", false, errNotSSH
		}
		line, rest, whole := bytes.Cut(seen, []byte("\n"))
		if !whole {
			return "", false, nil
		}
		seen = rest
		if bytes.HasPrefix(line, []byte("SSH-")) {
			break
		}
	}
	for len(seen) >= 4 {
		// packet_length, padding_length, payload, padding (RFC 4253, section 6).
		length := binary.BigEndian.Uint32(seen)
		if length < 2 || length > maxGreeting {
			return "", false, errNotSSH
		}
		if uint32(len(seen)-4) < length { //nolint:gosec // bounded by maxOpening
			return "", false, nil
		}
		packet := seen[4 : 4+length]
		seen = seen[4+length:]
		padding := int(packet[0])
		if padding+1 >= len(packet) {
			return "", false, errNotSSH
		}
		payload := packet[1 : len(packet)-padding]
		if payload[0] != messageKexInit {
			continue
		}
		var message struct {
			Cookie     [16]byte `sshtype:"20"`
			Algorithms string
			Rest       []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(payload, &message); err != nil {
			return "", false, errNotSSH
		}
		return message.Algorithms, true, nil
	}
	return "", false, nil
}

// disconnect is a message that ends a connection, as long as nothing is encrypted.
func disconnect(reason uint32, message string) []byte {
	payload := ssh.Marshal(struct {
		Reason   uint32 `sshtype:"1"`
		Message  string
		Language string
	}{reason, message, ""})
	const block = 8
	padding := block - (5+len(payload))%block
	if padding < 4 {
		padding += block
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding)) //nolint:gosec // a short text
	packet = append(packet, byte(padding))
	packet = append(packet, payload...)
	return append(packet, make([]byte, padding)...)
}

// explained is why a handshake failed, in words for the record: of what the peer sent, only
// that it was wrong.
func explained(err error) string {
	var none *ssh.AlgorithmNegotiationError
	if errors.As(err, &none) {
		return fmt.Sprintf("the client and the proxy have no %s in common", none.What)
	}
	return "the SSH handshake failed: " + err.Error()
}
