// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protocol is the contract every wire protocol meets. A protocol owns
// the words on the wire and nothing else: it is handed an accepted connection
// and an access.Entry, and walks the road of package access. The folders below
// hold one protocol each; package all lists them.
package protocol

import (
	"context"
	"encoding/json"
	"net"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
)

// Protocol is one wire protocol.
type Protocol interface {
	// Name is the word of Connection.spec.protocol.
	Name() string
	// Vocabulary is what policies may name.
	Vocabulary() policy.Vocabulary
	// ValidateOptions decodes Connection.spec.options strictly; the error names
	// the key and the remedy. Options may be empty.
	ValidateOptions(options json.RawMessage) error
	// DefaultPort is the port a proxy listens on where none is given.
	DefaultPort() int32
	// NewHandler makes the state one Connection's listener needs, such as the
	// cancel keys of its sessions. It lives as long as the listener.
	NewHandler() Handler
}

// HostKeyUser is a Protocol whose callers know a proxy by an SSH host key (RFC 4251 section
// 4.1), and not by a TLS certificate alone. The manager makes and certifies one for each
// Connection of such a protocol; access.Entry.HostKeys has it. A Protocol need not be one.
type HostKeyUser interface {
	UsesHostKeys() bool
}

// Handler serves the connections of one listener. Safe for concurrent use.
type Handler interface {
	// Serve speaks with one client until it leaves, the context ends or the
	// session is over. It closes nothing it did not open: the server closes
	// conn. When ctx ends, Serve tells the client why (context.Cause) if the
	// protocol has words for it, and returns within the server's drain bound.
	// It starts no goroutine that outlives it; relay.Pair runs pumps. Where clients
	// can name the Connection that they want, entry.Route leads there.
	Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error
}

// PatientHandler is a Handler whose clients ask a person for the credential while they are
// connected. A Handler need not be one.
type PatientHandler interface {
	// LoginTimeout is how long a client may take to become a session, where the server's
	// own bound is less. The number of such clients stays bounded.
	LoginTimeout() time.Duration
}

// LoginWatcher is a Handler that can see who is logged in at a target. A Handler
// need not be one.
type LoginWatcher interface {
	// WatchLogins logs in at the watch's target by the watch's road, under the
	// stored credential, and looks for as long as watch.Next says; what each look
	// shows it gives to watch.Saw. It marks the connections that this handler has
	// opened, each from before the target shows it to after it does not, whatever they
	// are called. It returns when the watch is over or the target fails, with an
	// error that holds no secret, or with access.ErrNotWatched; it is called again.
	WatchLogins(ctx context.Context, watch *access.LoginWatch) error
}
