// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package review answers callers what they may do: HTTPS on a port of its own, one
// question a connection, with the very token that a session is opened with. It walks
// the road of package access as far as the proven caller, asks there, and ends: it
// opens no session and reaches no target.
//
// What a client may do before it is proven, and for how long, the server bounds as it
// does for those who log in; what a proven caller may ask is bounded here. Package wire
// has the form of questions and answers.
package review

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/pace"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
)

// How often one caller may ask, on one Connection of one proxy: each question is a
// record. Of so many callers count is kept.
const (
	asksPerSecond = 2
	askBurst      = 30
	mostCallers   = 4096
)

// Times and sizes of one exchange. The server bounds the whole with the time for a login.
const (
	readBound  = 5 * time.Second
	writeBound = 15 * time.Second
	// maxHeader holds the longest token that is looked at; net/http adds 4 KiB.
	maxHeader = identity.MaxTokenBytes + 4<<10
)

// Options of a Handler.
type Options struct {
	// Vocabulary returns the words of a protocol, false for one that is not known.
	// Required.
	Vocabulary func(protocol string) (policy.Vocabulary, bool)
	// Answered, where set, is told the outcome of each exchange: one of Outcomes.
	Answered func(outcome string)
}

// Outcomes are what exchanges come to: the effects; Rules, a list of what is permitted;
// Unproven, where nobody was proven; Invalid, a question that was not understood;
// TooMany, of a caller who asked too often; Unavailable, no answer.
func Outcomes() []string {
	return []string{string(policy.Allow), string(policy.RequireApproval), string(policy.Deny), "Rules", "Unproven", "Invalid", "TooMany", "Unavailable"}
}

// asker tells callers apart.
type asker struct{ issuer, subject string }

// Handler answers the questions about one Connection.
type Handler struct {
	options Options
	paces   *pace.Paces[asker]
}

var _ protocol.Handler = (*Handler)(nil)

// New makes a Handler.
func New(options Options) *Handler {
	if options.Answered == nil {
		options.Answered = func(string) {}
	}
	return &Handler{options: options, paces: pace.New[asker](asksPerSecond, askBurst, mostCallers)}
}

// Serve takes one question and answers it.
func (h *Handler) Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	secured, err := entry.StartTLS(ctx, conn, "http/1.1")
	if err != nil {
		h.options.Answered("Unproven")
		return entry.Reject(context.WithoutCancel(ctx), err.Error())
	}
	e := &exchange{handler: h, entry: entry}
	listener := newSingle(secured)
	server := &http.Server{
		Handler: e, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: readBound, ReadTimeout: readBound, WriteTimeout: writeBound, MaxHeaderBytes: maxHeader,
		DisableGeneralOptionsHandler: true,
		// What it would say is what clients sent.
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				_ = listener.Close()
			}
		},
	}
	server.Protocols = &http.Protocols{}
	server.Protocols.SetHTTP1(true)
	server.SetKeepAlivesEnabled(false)
	// Who has asked hears why there is no answer; who has not, has nothing to hear.
	stop := context.AfterFunc(ctx, func() {
		if !e.asked.Load() {
			_ = secured.NetConn().Close()
		}
	})
	defer stop()
	// It ends when the connection does, with nothing to say.
	_ = server.Serve(listener)
	if e.panicked != nil {
		panic(e.panicked) //nolint:forbidigo // a panic of the handler, on the goroutine where the server counts it
	}
	if !e.asked.Load() {
		h.options.Answered("Unproven")
		return entry.Reject(context.WithoutCancel(ctx), "no request that could be read came to the port of questions about access")
	}
	return e.err
}

// single is a listener of one connection: Accept returns it, and then waits until the
// listener is closed.
type single struct {
	conn net.Conn

	taken  atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func newSingle(conn net.Conn) *single { return &single{conn: conn, closed: make(chan struct{})} }

func (l *single) Accept() (net.Conn, error) {
	if l.taken.CompareAndSwap(false, true) {
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *single) Addr() net.Addr { return l.conn.LocalAddr() }
