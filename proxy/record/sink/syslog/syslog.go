// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package syslog is the sink that sends records as RFC 5424 messages over TLS
// (RFC 5425), or over plain TCP (RFC 6587, octet counting) where TLS is
// disabled.
//
// Syslog has no acknowledgement. Each batch has a connection of its own: the
// sink sends the batch, closes its side, and counts the batch as accepted when
// the server, after having read all of it, has closed its side in good order
// (RFC 5425 section 4.4).
package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

const (
	// DefaultAppName is the APP-NAME of the messages.
	DefaultAppName = "doorward"
	// DefaultMaxMessageBytes is what rsyslog takes where it is not configured
	// to take more; RFC 5425 section 4.3.1 asks receivers for 8192.
	DefaultMaxMessageBytes = 8096
	// LargestMessageBytes is enough for every record in its native form: its JSON
	// and the header. Another encoder may need more, up to maxMessage.
	LargestMessageBytes = record.MaxSize + 4096
	maxMessage          = 8 << 20
	// One connection carries so many records or bytes, a little more at most: a
	// server that syncs a file for each must be done before the caller's patience
	// is.
	connectionRecords = 256
	connectionBytes   = 256 << 10
)

// Options say where messages go and how they look.
type Options struct {
	// Address is the server's host:port; the port of syslog over TLS is 6514.
	Address string
	// TLS is how the server is verified and the proxy proves itself.
	TLS sink.TLS
	// Facility is a keyword of RFC 5427, such as "local0", or a number from 0
	// to 23; empty means "audit".
	Facility string
	// AppName is the APP-NAME, at most 48 printable ASCII characters without
	// spaces; empty means DefaultAppName.
	AppName string
	// Hostname is the HOSTNAME, at most 255 such characters; empty means the
	// host's own name.
	Hostname string
	// EnterpriseNumber is the reader's IANA private enterprise number. Where it
	// is set, messages carry an element doorward@<number> with the record's id,
	// log, index, session and type; RFC 5424 section 6.3.2 has no name for it
	// otherwise.
	EnterpriseNumber uint32
	// Encode makes the message's text; nil means sink.Native.
	Encode sink.Encoder
	// MaxMessageBytes is the greatest message that the server takes whole;
	// DefaultMaxMessageBytes where zero. A record whose message is larger is
	// not sent: Write fails.
	MaxMessageBytes int
}

// Format keeps the key of a client certificate from being printed with any verb.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Address:%q Facility:%q AppName:%q Hostname:%q}", o.Address, o.Facility, o.AppName, o.Hostname)
}

// none is no record's position.
var none = record.Position{Index: -1}

// Sink sends to one server.
type Sink struct {
	options  Options
	tls      *tls.Config
	facility int
	brief    record.Brief
	message  []byte
	text     []byte
	batch    []byte
	// accepted is the last record that the server has of a batch whose Write has
	// failed; its index is negative where there is none.
	accepted record.Position
}

// New makes a sink. The server is first dialled by Write.
func New(options Options) (*Sink, error) {
	s, err := newSink(options)
	if err != nil {
		return nil, fmt.Errorf("syslog sink not usable: %w", err)
	}
	return s, nil
}

func newSink(o Options) (*Sink, error) {
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("address %q: host and port are needed, such as \"logs.example.org:6514\"", o.Address)
	}
	config, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config != nil && config.ServerName == "" {
		config.ServerName = host
	}
	facility, err := parseFacility(o.Facility)
	if err != nil {
		return nil, err
	}
	if o.AppName == "" {
		o.AppName = DefaultAppName
	}
	if o.Hostname == "" {
		if o.Hostname, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("the host's own name is not known, set Hostname: %w", err)
		}
	}
	if !printable(o.AppName, maxAppName) {
		return nil, fmt.Errorf("app name %q: at most %d printable ASCII characters without spaces are needed", o.AppName, maxAppName)
	}
	if !printable(o.Hostname, maxHostname) {
		return nil, fmt.Errorf("host name %q: at most %d printable ASCII characters without spaces are needed", o.Hostname, maxHostname)
	}
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if o.MaxMessageBytes < smallestMaxMessage || o.MaxMessageBytes > maxMessage {
		return nil, fmt.Errorf("greatest message of %d bytes: from %d to %d is possible", o.MaxMessageBytes, smallestMaxMessage, maxMessage)
	}
	if o.Encode == nil {
		o.Encode = sink.Native
	}
	return &Sink{options: o, tls: config, facility: facility, accepted: none}, nil
}

// Write implements sink.Sink. The server has records when it has answered the end
// of their connection, which it does after having read all of them.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	if ctx.Err() != nil {
		return fmt.Errorf("cannot send to syslog server %q: %w", s.options.Address, context.Cause(ctx))
	}
	// What the server has of the batch that failed is not sent again, so that a
	// slow one gets to the end.
	for len(batch) > 0 && batch[0].Position.LogID == s.accepted.LogID && batch[0].Position.Index <= s.accepted.Index {
		batch = batch[1:]
	}
	for len(batch) > 0 {
		n, err := s.fill(batch)
		if err != nil {
			return fmt.Errorf("record %q cannot be sent to syslog server %q: %w", batch[n].Position.ID(), s.options.Address, err)
		}
		if err := send(ctx, s.options.Address, s.tls, s.batch); err != nil {
			if ctx.Err() != nil {
				err = errors.Join(context.Cause(ctx), err)
			}
			// A server's words may be in it, such as those of its certificate.
			return &sink.Failure{Text: fmt.Sprintf("cannot send to syslog server %q: %s", s.options.Address, sink.Foreign(err.Error())), Cause: err}
		}
		s.accepted, batch = batch[n-1].Position, batch[n:]
	}
	s.accepted = none
	return nil
}

// fill makes the messages for one connection and returns of how many records;
// with an error, of which record no message can be made.
func (s *Sink) fill(batch []record.Record) (int, error) {
	s.batch = s.batch[:0]
	for i, r := range batch {
		if i == connectionRecords || len(s.batch) >= connectionBytes {
			return i, nil
		}
		if err := s.frame(r); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}
