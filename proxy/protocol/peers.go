// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"context"
	"crypto/tls"
)

// Peers are the other proxies that serve the same Connection, behind the same
// Service. A client may bring to one of them what only another can do, such as a
// cancel request. Such a key is made so that it leads to the proxy that made it:
// one in 256 of all keys does, and only proxies of the Connection can tell which.
// Whoever does not know the key learns nothing about it by that.
//
// Peers come to the port of the Connection, with TLS from the first byte and the
// ALPN protocol that Peers name. The handler gives such a connection to Answer.
type Peers interface {
	// Protocol is the ALPN protocol that peers name.
	Protocol() string
	// Leads says whether a key of at most MaxPeerKey bytes leads to this proxy.
	Leads(key []byte) bool
	// Ask takes a key to the proxies that it leads to, and says whether one of them
	// knew it. It asks in a bounded number and time; what a peer brought must never
	// be taken further.
	Ask(ctx context.Context, key []byte) (known bool)
	// Answer serves a peer. take does what the key is for, and says whether it is
	// known here.
	Answer(ctx context.Context, peer *tls.Conn, take func(ctx context.Context, key []byte) (known bool)) error
}

// MaxPeerKey bounds the keys that peers take to each other, in bytes.
const MaxPeerKey = 512

// PeerUser is a Handler that has peers. A Handler need not be one.
type PeerUser interface {
	// UsePeers is called once, before the handler serves.
	UsePeers(Peers)
}
