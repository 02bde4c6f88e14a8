// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recordings gives the manager the recordings of sessions, for those who may
// read them: HTTPS on a port of its own, which takes the manager's certificate and no
// other. Whoever reads is in this proxy's log before the first byte leaves; without that
// record nothing does.
package recordings

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"net"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/recordings/serving"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// Bounds of a reading.
const (
	// mostReadings is how many there are at a time.
	mostReadings = 4
	// stallBound is how long a reader may take nothing, wholeBound how long a reading
	// may take.
	stallBound = 30 * time.Second
	wholeBound = time.Hour
	// followBound is how long a session is followed until the manager has to ask again
	// whether the reader still may, followBeat how often they hear that there is nothing.
	followBound = 10 * time.Minute
	followBeat  = 15 * time.Second
	// recordBound is how long the record of a reading may take to be durable.
	recordBound = 30 * time.Second
)

// Log is the proxy's log.
type Log interface {
	ID() string
	At(ctx context.Context, index int64) (record.Record, error)
	Append(ctx context.Context, event record.Event) (record.Position, error)
	Extract(ctx context.Context, out io.Writer, session string, first, through int64) error
	Follow(ctx context.Context, out io.Writer, what *extract.Live) error
}

// Now is what is in force when somebody reads.
type Now struct {
	Connection record.Connection
	Revision   int64
	Durability record.Durability
}

// Options of a Server; all but Served are needed.
type Options struct {
	Log Log
	// Gone is wrapped by the errors of the log for records that were deleted.
	Gone error
	// Key is the manager's snapshot key.
	Key ed25519.PublicKey
	// Certificate is the Connection's serving certificate at present.
	Certificate func() (*tls.Certificate, error)
	// Now returns what is in force; false while no snapshot is, so that nobody knows how
	// durable a record must be.
	Now func() (now Now, inForce bool)
	// Logger is told what an operator should look at.
	Logger logr.Logger
	// Served, where set, is told what became of each request: one of Outcomes.
	Served func(outcome string)
}

// Outcomes are what requests come to: Served, a recording as a whole; Broken, one that
// ended early; Refused, a reader who may not, on record; Gone and NotFound; Unrecorded,
// where no record could be written; NoSnapshot; Invalid; Busy.
func Outcomes() []string {
	return []string{"Served", "Broken", "Refused", "Gone", "NotFound", "Unrecorded", "NoSnapshot", "Invalid", "Busy"}
}

// Server serves the recordings of one Connection.
type Server struct {
	options  Options
	readings chan struct{}
}

// New makes a Server.
func New(options Options) *Server {
	if options.Served == nil {
		options.Served = func(string) {}
	}
	return &Server{options: options, readings: make(chan struct{}, mostReadings)}
}

// Serve serves until ctx ends, and closes the listener. It takes the manager and nobody
// else, before a byte of a request is read.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return serving.Serve(ctx, listener, &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.options.Certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			return wire.Verify(state.PeerCertificates, s.options.Key, time.Now())
		},
	}, s)
}
