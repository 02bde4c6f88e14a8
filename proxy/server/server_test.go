// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/record"
)

// polite logs in, says hello, and leaves when its session ends.
func polite(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	one := make([]byte, 1)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.ReadFull(conn, one); err != nil {
		return err
	}
	grant, err := login(ctx, entry)
	if err != nil {
		return err
	}
	defer grant.Close("the client left")
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	select {
	case <-grant.Context().Done():
	case <-ctx.Done():
	}
	return nil
}

func hello(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Write([]byte("x"))
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = io.ReadFull(conn, make([]byte, len("hello")))
	must(t, err)
}

func TestHandshakeTimeout(t *testing.T) {
	p := newPlace(t, Options{HandshakeTimeout: 100 * time.Millisecond}, polite)
	proven, silent := p.dial(), p.dial()
	hello(t, proven)
	ends(t, silent, 5*time.Second)
	// A session is not bound by the time for logging in.
	must(t, proven.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	if _, err := proven.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("the session ended too: %v", err)
	}
}

// patient is a Handler whose clients have longer.
type patient struct{ time.Duration }

func (p patient) LoginTimeout() time.Duration                        { return p.Duration }
func (patient) Serve(context.Context, net.Conn, *access.Entry) error { return nil }

func TestLoginTimeout(t *testing.T) {
	s := New(Options{HandshakeTimeout: time.Minute})
	for _, test := range []struct {
		handler protocol.Handler
		want    time.Duration
	}{
		{NewProtocols(nil), time.Minute},
		{patient{time.Second}, time.Minute},
		{patient{time.Hour}, time.Hour},
		{&Protocols{current: patient{time.Hour}}, time.Hour},
	} {
		if got := s.loginTimeout(test.handler); got != test.want {
			t.Errorf("%T: %s, want %s", test.handler, got, test.want)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// A protocol that does not react to the end of its context is cut.
func TestStuckHandlerIsCut(t *testing.T) {
	p := newPlace(t, Options{HandshakeTimeout: 50 * time.Millisecond, CutTimeout: 50 * time.Millisecond},
		func(_ context.Context, conn net.Conn, _ *access.Entry) error {
			_, err := io.Copy(io.Discard, conn)
			return err
		})
	ends(t, p.dial(), 5*time.Second)
}

// Revocation ends a session also where the protocol is stuck in a write.
func TestStuckSessionIsCut(t *testing.T) {
	p := newPlace(t, Options{CutTimeout: 50 * time.Millisecond}, func(ctx context.Context, conn net.Conn, entry *access.Entry) error {
		if _, err := login(ctx, entry); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, 1))
		return err
	})
	conn := p.dial()
	p.log.Await(t.Context(), t, "a start", func(e record.Event) bool { return e.Type == record.SessionStart })
	session := p.log.OfType(record.SessionStart)[0].Session
	p.gate.Terminate(session, "suspicious")
	ends(t, conn, 5*time.Second)
	end := p.log.Await(t.Context(), t, "its end", func(e record.Event) bool { return e.Type == record.SessionEnd })
	if end.Session != session || end.Reason != "the session was terminated: suspicious" {
		t.Errorf("end on record: %+v", end)
	}
}

// checklist 4: half-open clients neither keep others out nor pile up.
func TestCrowd(t *testing.T) {
	p := newPlace(t, Options{MaxUnproven: 50, CutTimeout: 20 * time.Millisecond}, polite)
	before := p.server.unproven.len()
	var silent []net.Conn
	for range 2000 {
		silent = append(silent, p.dial())
	}
	conn := p.dial()
	began := time.Now()
	hello(t, conn)
	t.Logf("a login among 2000 half-open clients took %s", time.Since(began))
	if got := p.server.unproven.len(); got > 50 {
		t.Errorf("unproven clients: %d, want at most 50 (before: %d)", got, before)
	}
	ends(t, silent[0], 5*time.Second)
}

func TestCrowdEvictsFromTheLargestHost(t *testing.T) {
	c := newCrowd(4)
	var evicted []string
	enter := func(host, name string) func() {
		return c.enter(host, func() { evicted = append(evicted, name) })
	}
	enter("flood", "f1")
	leave := enter("quiet", "q1")
	enter("flood", "f2")
	enter("flood", "f3")
	enter("flood", "f4")
	enter("quiet", "q2")
	if len(evicted) != 2 || evicted[0] != "f1" || evicted[1] != "f2" {
		t.Errorf("evicted %v, want the oldest of the host with most clients", evicted)
	}
	leave()
	leave()
	if c.len() != 3 {
		t.Errorf("len = %d, want 3", c.len())
	}
}

// TestCrowdOfOneNetwork: checklist 4: a host of IPv6 has many addresses, and its clients are
// one host's all the same.
func TestCrowdOfOneNetwork(t *testing.T) {
	c := newCrowd(64)
	quiet := 0
	for i := range 16 {
		c.enter(fmt.Sprintf("[2001:db8:0:%x::7]:4000", i+1), func() { quiet++ })
	}
	flood := 0
	for i := range 1000 {
		c.enter(fmt.Sprintf("[2001:db8:0:66::%x]:%d", i, 1024+i), func() { flood++ })
	}
	if quiet != 0 || flood != 1000-(64-16) {
		t.Errorf("%d quiet hosts and %d of the flood must go, want the flood's alone", quiet, flood)
	}
}

// A panic ends one connection, its session is over and on record, and others live.
func TestPanicIsContained(t *testing.T) {
	var calls atomic.Int32
	p := newPlace(t, Options{}, func(ctx context.Context, conn net.Conn, entry *access.Entry) error {
		switch calls.Add(1) {
		case 1:
			if _, err := login(ctx, entry); err != nil {
				return err
			}
			panic("canary")
		case 2:
			panic("canary")
		}
		return polite(ctx, conn, entry)
	})
	ends(t, p.dial(), 5*time.Second)
	end := p.log.Await(t.Context(), t, "the end", func(e record.Event) bool { return e.Type == record.SessionEnd })
	if end.Reason != ErrInternal.Error() {
		t.Errorf("reason on record: %q, want %q", end.Reason, ErrInternal)
	}
	ends(t, p.dial(), 5*time.Second)
	p.log.Await(t.Context(), t, "the client without session", func(e record.Event) bool { return e.Type == record.AuthenticationFailed })
	var metric dto.Metric
	must(t, p.server.options.Metrics.panics.WithLabelValues("data/shop").Write(&metric))
	if got := metric.GetCounter().GetValue(); got != 2 {
		t.Errorf("panics counted: %v, want 2", got)
	}
	hello(t, p.dial())
	if got := p.gate.Sessions(); got != 1 {
		t.Errorf("live sessions: %d, want the last only", got)
	}
}

// A handler that forgets its session does not leave it behind.
func TestForgottenSessionIsClosed(t *testing.T) {
	p := newPlace(t, Options{}, func(ctx context.Context, _ net.Conn, entry *access.Entry) error {
		_, err := login(ctx, entry)
		return err
	})
	ends(t, p.dial(), 5*time.Second)
	p.log.Await(t.Context(), t, "the end", func(e record.Event) bool { return e.Type == record.SessionEnd })
	if got := p.gate.Sessions(); got != 0 {
		t.Errorf("live sessions: %d, want none", got)
	}
}

func TestDrain(t *testing.T) {
	t.Run("SessionsFinish", func(t *testing.T) {
		p := newPlace(t, Options{DrainTimeout: time.Minute}, func(ctx context.Context, conn net.Conn, entry *access.Entry) error {
			grant, err := login(ctx, entry)
			if err != nil {
				return err
			}
			defer grant.Close("the client left")
			_, err = io.Copy(conn, conn)
			return err
		})
		conn := p.dial()
		_, err := conn.Write([]byte("a"))
		must(t, err)
		_, err = io.ReadFull(conn, make([]byte, 1))
		must(t, err)
		p.stop()
		// No new session is opened, and the old one goes on. Connections are still
		// taken: a request to cancel what a session does comes on one.
		for p.gate.Ready() == nil {
			<-time.After(time.Millisecond)
		}
		ends(t, p.dial(), 5*time.Second)
		_, err = conn.Write([]byte("b"))
		must(t, err)
		_, err = io.ReadFull(conn, make([]byte, 1))
		must(t, err)
		must(t, conn.Close())
		<-p.stopped
		if got := p.log.OfType(record.SessionEnd); len(got) != 1 || got[0].Reason != "the client left" {
			t.Errorf("ends on record: %+v, want one in order", got)
		}
	})
	t.Run("ClientsAreTakenMeanwhile", func(t *testing.T) {
		p := newPlace(t, Options{ShutdownDelay: 3 * time.Second, DrainTimeout: 50 * time.Millisecond}, polite)
		p.stop()
		// A Service sends clients here until it has heard of the stop.
		conn := p.dial()
		hello(t, conn)
		must(t, conn.Close())
		<-p.stopped
		if got := p.log.OfType(record.SessionStart); len(got) != 1 {
			t.Errorf("sessions on record: %+v, want the one that came after the stop", got)
		}
	})
	t.Run("SessionsAreEnded", func(t *testing.T) {
		p := newPlace(t, Options{DrainTimeout: 50 * time.Millisecond}, polite)
		conn := p.dial()
		hello(t, conn)
		p.stop()
		ends(t, conn, 5*time.Second)
		<-p.stopped
		if got := p.log.OfType(record.SessionEnd); len(got) != 1 || got[0].Reason != access.ErrDraining.Error() {
			t.Errorf("ends on record: %+v, want one that says why", got)
		}
	})
	t.Run("StuckOnesAreCut", func(t *testing.T) {
		p := newPlace(t, Options{DrainTimeout: time.Millisecond, CutTimeout: 50 * time.Millisecond},
			func(ctx context.Context, conn net.Conn, entry *access.Entry) error {
				if _, err := login(ctx, entry); err != nil {
					return err
				}
				_, err := io.Copy(io.Discard, conn)
				return err
			})
		conn := p.dial()
		p.log.Await(t.Context(), t, "a start", func(e record.Event) bool { return e.Type == record.SessionStart })
		p.stop()
		ends(t, conn, 5*time.Second)
		<-p.stopped
	})
}

// flaky fails a few times before it works.
type flaky struct {
	net.Listener
	failures atomic.Int32
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptGoesOn(t *testing.T) {
	p := newPlace(t, Options{}, polite)
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	f := &flaky{Listener: listener}
	f.failures.Store(4)
	s := New(Options{Log: logr.Discard()}, Endpoint{Name: "data/shop", Listener: f, Gate: p.gate, Handler: handler(polite)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	must(t, err)
	hello(t, conn)
	must(t, conn.Close())
	cancel()
	running.Wait()
}
