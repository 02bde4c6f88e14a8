// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
)

// handshakeBytes bounds what a client may send until its TLS handshake is over: the
// largest certificate of the manager's, and what else a handshake has. crypto/tls reads
// whatever certificates it is sent, and more of them.
const handshakeBytes = 48 << 10

// handshake is a connection that gives out no more than a handshake has.
type handshake struct {
	net.Conn
	left int
	over bool
}

var errLongHandshake = fmt.Errorf("the client sent more than %d bytes: a client certificate is too large, or has too many with it", handshakeBytes)

// Read is only called by the TLS layer above, one call at a time.
func (h *handshake) Read(b []byte) (int, error) {
	if h.over {
		return h.Conn.Read(b)
	}
	if h.left <= 0 {
		return 0, errLongHandshake
	}
	n, err := h.Conn.Read(b[:min(len(b), h.left)])
	h.left -= n
	return n, err
}

// NetConn is the connection itself.
func (h *handshake) NetConn() net.Conn { return h.Conn }

// shown keeps the certificate that the client has shown, without those it would have as
// its authorities.
func (e *Entry) shown(secured *tls.Conn) {
	// On a session that is resumed, these are of the handshake that began it: they are
	// verified, and whether they were revoked is looked up, all the same.
	if certificates := secured.ConnectionState().PeerCertificates; len(certificates) > 0 {
		certificate := identity.ClientCertificate(certificates[0].Raw)
		e.certificate = &certificate
	}
}

// AuthenticateCertificate proves the caller by the client certificate of StartTLS, where
// the manager has issued it. Shown is false where the client has shown none of the
// manager's: then a protocol asks for a token. Where it is true and there is an error,
// the certificate is good no more: a protocol must ask for nothing else on the same
// connection, or a revoked client would seem to work by what else it has. A failure is
// on record before it returns.
func (e *Entry) AuthenticateCertificate(ctx context.Context) (caller *Caller, shown bool, err error) {
	if e.certificate == nil {
		return nil, false, nil
	}
	caller, err = e.Authenticate(ctx, *e.certificate)
	if errors.Is(err, identity.ErrForeign) {
		return nil, false, nil
	}
	return caller, true, err
}

// serving is the configuration that clients' handshakes are taken with. A client
// certificate is asked for where one could prove anybody, or is to be told why not, and
// never demanded.
func (g *Gate) serving(protocols []string) *tls.Config {
	st := g.state.Load()
	asks := st != nil && (len(st.snapshot.Login.Keys) > 0 || st.snapshot.Login.Closed != "")
	key := strings.Join(protocols, ",")
	if asks {
		key += ";certificate"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	config := g.tls[key]
	if config == nil {
		config = g.config.TLS.Clone()
		config.NextProtos = protocols
		if asks {
			config.ClientAuth = tls.RequestClientCert
		}
		if g.tls == nil {
			g.tls = map[string]*tls.Config{}
		}
		g.tls[key] = config
	}
	return config
}
