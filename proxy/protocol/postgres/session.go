// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/proxy/relay"
)

// The largest messages that are held in the buffers of a session, in bytes.
const (
	clientBuffer = 16 << 10
	targetBuffer = 64 << 10
)

// session is one client's session with the target.
type session struct {
	handler  *handler
	grant    *access.Grant
	client   net.Conn
	target   *upstream
	database *database
	key      cancelKey
	// path is current_schemas(true) of the session; pathKey is the same as one word.
	path    []string
	pathKey string
	names   names
	// watched are the settings whose change ends the session.
	watched map[string]string
	// ctx ends with the session, with its cause.
	ctx context.Context //nolint:containedctx // the session's own life

	// beside are the session's goroutines besides its pumps; it waits for them.
	beside   sync.WaitGroup
	renewing atomic.Bool
	// left says that the client has said goodbye.
	left atomic.Bool

	fromClient, fromTarget *wireReader
	// toTarget belongs to the requests pump.
	toTarget *wireWriter

	// clientMu guards what is written to the client: whole messages, by both
	// pumps. broken says that a message was cut short.
	clientMu sync.Mutex
	toClient *wireWriter
	broken   bool

	// mu guards the state of the protocol that both pumps share.
	mu      sync.Mutex
	queue   []*expected
	head    int
	spare   *expected // a Sync that was answered, to be used again
	status  byte      // the target's transaction status
	skipped bool      // the target skips up to the next Sync
	copyIn  bool      // the target takes copy data
	ddl     bool      // a change of the catalog is not yet committed
	reveals reveals   // what may be in errors and notices
	// transaction counts those that have ended.
	transaction uint64
	poisoned    bool // the target's transaction is to fail: an answer was broken off
	cursors     cursors
	waiting     bool // the requests pump waits for wake
	prepared    map[string]*prepared
	portals     map[string]*portal
	// bound are the portals that the target may still have: those of portals,
	// and those that an error took from the client but not, inside a
	// transaction with savepoints, from the target.
	bound map[string]*portal
	reset *change // the last DEALLOCATE ALL
	wake  chan struct{}

	// What follows belongs to the requests pump.
	large       bool   // it analyses a large text
	segment     uint64 // counts the segments that Sync and Query end
	open        bool   // extended messages since the last Sync
	executed    bool   // an Execute among them
	skipping    bool   // the client's messages are skipped up to the next Sync
	copying     bool   // the client sends copy data
	copyMessage *expected
	crowded     bool // as much is owed as may be
	asking      asking
	received    time.Time // when the Query or Execute at hand came; see Grant.Mark
	source      string    // the text of the Query at hand
	wantColumns bool      // where rows come from, or how they read, had to be known for the last operation
	masks       worked
	verdicts    verdicts
	// audited is what masks of policies in mode Audit would come to.
	audited struct {
		masks    worked
		verdicts verdicts
	}
	temp    map[string]bool
	created map[string]bool
	behind  map[string][]sql.Access // what views read that the session has made, by resource
	// inText are the cursors that statements before the one at hand declare, or
	// close where nil, in the same text.
	inText map[string]*sql.Statement
	// madeUnder are the masks under which temporary relations were made; outgrown
	// says that since then others held.
	madeUnder  mask.Rules
	outgrown   bool
	generation int // counts the changes of temp and created
	held       []byte
	early      map[string]early // by portal
	moved      bool             // names may mean other objects than the catalog says
	moving     uint64           // counts what moved names
	unread     bool             // the catalog was changed since that of the transaction was read
	turned     bool             // a transaction began or ended since the last Sync
	own        own

	// What follows belongs to the answers pump: relations that the catalog
	// will not know, and whether a message is being streamed.
	foreign   map[uint32]bool
	last      lastResult
	streaming bool

	holding hold
}

// Serve implements protocol.Handler.
func (h *handler) Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	conn = relay.NewLine(conn)
	_ = conn.SetDeadline(time.Now().Add(startupBound))
	// The end of the context ends whatever is read until the session begins.
	release := relay.Interrupt(ctx, conn)
	stop := sync.OnceFunc(func() { release() })
	defer stop()

	secured, packet, err := negotiate(ctx, conn, entry, h.peerProtocols()...)
	switch {
	case errors.Is(err, errCancelRequest):
		return h.cancel(ctx, conn.RemoteAddr().String(), packet, entry)
	case errors.Is(err, errPeer):
		return h.answerPeer(ctx, secured, entry)
	}
	out := io.Writer(conn)
	if secured != nil {
		out = secured
	}
	if err == nil {
		err = h.enter(ctx, secured, packet, entry, stop)
		if err == nil {
			return nil
		}
	}
	return turnAway(ctx, conn, out, entry, err)
}

// turnAway answers a client that got no session. What the road has not put on
// record is put there first.
func turnAway(ctx context.Context, conn net.Conn, out io.Writer, entry *access.Entry, cause error) error {
	refusal := &access.Refusal{}
	var rejected *rejection
	switch {
	case errors.As(cause, &rejected):
		refusal = rejected.refusal
		if err := entry.Reject(context.WithoutCancel(ctx), refusal.Message); err != nil {
			refusal = access.AsRefusal(err)
		}
	case errors.As(cause, &refusal):
	case ctx.Err() != nil:
		refusal = &access.Refusal{Reason: access.ReasonSessionEnded, Message: context.Cause(ctx).Error()}
	default:
		return quietly(cause) // the client left or was too slow
	}
	_ = conn.SetDeadline(time.Now().Add(writeBound))
	if _, err := out.Write(encode(nil, errorResponse("FATAL", refusal))); err == nil {
		linger(out)
	}
	return nil
}

// quietly drops the error of a client that just went away.
func quietly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// run greets the client and pumps until the session is over. It returns why.
func (s *session) run(ctx context.Context) string {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.ctx = ctx
	s.toTarget, s.toClient = newWireWriter(s.target.conn), newWireWriter(s.client)
	s.fromClient = newWireReader(flushing(s.client, s.toTarget.Flush), clientBuffer)
	s.fromTarget = newWireReader(flushing(s.target.conn, s.flushClient), targetBuffer)

	err := s.tell(s.greeting())
	if err == nil {
		err = relay.Pair(ctx, s.interrupted(s.requests), s.interrupted(s.answers))
	}
	// From here on both pumps have ended.
	cancel(err)
	return s.part(err)
}

// interrupted makes a pump end with the context that the pair gives it.
func (s *session) interrupted(pump relay.Pump) relay.Pump {
	return func(ctx context.Context) error {
		defer context.AfterFunc(ctx, s.interrupt)()
		return pump(ctx)
	}
}

// flushing has what was gathered for the other side flushed before more is
// waited for: where that cannot be told, before more is read.
func flushing(conn net.Conn, flush func() error) io.Reader {
	if line := relay.LineOf(conn); line != nil {
		line.BeforeWait(flush)
		return conn
	}
	return flushingReader{conn, flush}
}

type flushingReader struct {
	net.Conn
	flush func() error
}

func (f flushingReader) Read(p []byte) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.Conn.Read(p)
}

// flushClient is called by the answers pump before it waits for the target,
// also in the midst of a message that it streams under the lock.
func (s *session) flushClient() error {
	if s.streaming {
		return s.toClient.Flush()
	}
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	return s.toClient.Flush()
}

// interrupt unblocks both pumps at the session's end: all that is read, and
// what is written to a client that does not read.
func (s *session) interrupt() {
	past := time.Unix(1, 0)
	_ = s.target.conn.SetDeadline(past)
	_ = s.client.SetReadDeadline(past)
	_ = s.client.SetWriteDeadline(time.Now().Add(writeBound / 2))
}

// greeting is what a server says once a client is in.
func (s *session) greeting() []byte {
	out := encode(nil, &pgproto3.AuthenticationOk{})
	for name, value := range s.target.status {
		out = encode(out, &pgproto3.ParameterStatus{Name: name, Value: value})
	}
	out = encode(out, &pgproto3.BackendKeyData{ProcessID: s.key.process, SecretKey: s.key.secret})
	return encode(out, &pgproto3.ReadyForQuery{TxStatus: 'I'})
}
