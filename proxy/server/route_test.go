// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// naming is a protocol whose clients say in their first line which Connection they want, and
// then whatever they like.
func naming(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	lines := bufio.NewReader(conn)
	name, err := lines.ReadString('\n')
	if err != nil {
		return err
	}
	led, err := entry.Route(strings.TrimSpace(name))
	if err != nil {
		return errors.Join(err, entry.Reject(ctx, err.Error()))
	}
	word, err := lines.ReadString('\n')
	if err != nil {
		return err
	}
	if word == "panic\n" {
		panic("canary")
	}
	grant, err := login(ctx, led)
	if err != nil {
		_, _ = conn.Write([]byte("refused\n"))
		return err
	}
	defer grant.Close("the client left")
	defer context.AfterFunc(grant.Context(), func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write([]byte(grant.Session() + "\n")); err != nil {
		return err
	}
	_, err = lines.ReadString('\n')
	return err
}

// street is a server with several Connections.
type street struct {
	t       *testing.T
	log     *recordtest.Log
	gates   map[string]*access.Gate
	address map[string]string
	metrics *Metrics
	stop    func()
	stopped chan struct{}
}

// newStreet serves each Connection at an address of its own; those that are named may be named
// everywhere.
func newStreet(t *testing.T, options Options, names []string, byName ...string) *street {
	t.Helper()
	s := &street{
		t: t, log: recordtest.NewLog(), gates: map[string]*access.Gate{}, address: map[string]string{}, metrics: NewMetrics(), stopped: make(chan struct{}),
	}
	var endpoints []Endpoint
	for _, full := range names {
		namespace, name, _ := strings.Cut(full, "/")
		connection := snapshot.Connection{Namespace: namespace, Name: name, UID: "uid-" + full, Generation: 1}
		gate, err := access.NewGate(access.Config{
			Connection: connection, Log: s.log, Approvals: anybody{}, Dialer: anybody{}, TLS: &tls.Config{MinVersion: tls.VersionTLS12},
			NewEngine: func(context.Context, policy.Set, policy.About) (policy.Engine, error) {
				return policytest.Engine(anybody{}), nil
			},
			NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return anybody{}, nil },
			Observers:   []access.Observer{s.metrics.Observe(full)},
		})
		must(t, err)
		must(t, gate.Apply(t.Context(), &snapshot.Snapshot{Connection: connection, Protocol: "naming", Revision: 1, MaxStalenessSeconds: 3600}))
		gate.Heartbeat(0)
		listener, err := Listen(t.Context(), "127.0.0.1:0")
		must(t, err)
		s.gates[full], s.address[full] = gate, listener.Addr().String()
		endpoint := Endpoint{Name: full, Listener: listener, Gate: gate, Handler: handler(naming)}
		for _, one := range byName {
			endpoint.ByName = endpoint.ByName || one == full
		}
		endpoints = append(endpoints, endpoint)
	}
	options.Log, options.Metrics = logr.Discard(), s.metrics
	server := New(options, endpoints...)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		defer close(s.stopped)
		server.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-s.stopped
	})
	return s
}

// guestOf is a client of a street.
type guestOf struct {
	net.Conn
	lines *bufio.Reader
}

// call connects to the address of one Connection, names another and says a word.
func (s *street) call(address, name, word string) guestOf {
	s.t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(s.t.Context(), "tcp", s.address[address])
	must(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	must(s.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = conn.Write([]byte(name + "\n" + word))
	must(s.t, err)
	return guestOf{conn, bufio.NewReader(conn)}
}

// hears is the next line, empty at the end.
func (g guestOf) hears() string {
	line, _ := g.lines.ReadString('\n')
	return strings.TrimSpace(line)
}

func counted(t *testing.T, vec *prometheus.CounterVec, labels ...string) float64 {
	t.Helper()
	var metric dto.Metric
	must(t, vec.WithLabelValues(labels...).Write(&metric))
	return metric.GetCounter().GetValue()
}

// TestRoutes: a client that names a Connection is at its gate, in every respect: session,
// figures, record; and where nobody published a Connection, it is not.
func TestRoutes(t *testing.T) {
	s := newStreet(t, Options{}, []string{"ops/web", "ops/db", "ops/hidden"}, "ops/web", "ops/db")
	for name, test := range map[string]struct {
		reason, address, name string
		want                  string // nobody where empty
	}{
		"Own":          {"who names none is where he came", "ops/web", "", "web"},
		"Other":        {"who names one is there", "ops/web", "db", "db"},
		"Back":         {"it goes both ways", "ops/db", "ops/web", "web"},
		"FromHidden":   {"an address need not be that of one that may be named", "ops/hidden", "db", "db"},
		"Hidden":       {"one that is not published by name is at its own address alone", "ops/web", "hidden", ""},
		"HiddenInFull": {"also with its namespace", "ops/web", "ops/hidden", ""},
		"HiddenAtHome": {"where it may be named", "ops/hidden", "hidden", "hidden"},
		"Missing":      {"there is none", "ops/web", "payments", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := map[string]float64{}
			for full := range s.gates {
				before[full] = counted(t, s.metrics.sessionsTotal, full)
			}
			failures := len(s.log.OfType(record.AuthenticationFailed))
			client := s.call(test.address, test.name, "login\n")
			session := client.hears()
			if test.want == "" {
				if session != "" {
					t.Fatalf("%s: a session: %s", test.reason, session)
				}
				failed := s.log.OfType(record.AuthenticationFailed)
				if len(failed) != failures+1 || "ops/"+failed[failures].Connection.Name != test.address {
					t.Errorf("%s: on record: %+v, want one more, of the address's own", test.reason, failed)
				}
				return
			}
			if !strings.HasPrefix(session, test.want+"-") {
				t.Fatalf("%s: session %q", test.reason, session)
			}
			for full, gate := range s.gates {
				live, more := 0, 0.0
				if full == "ops/"+test.want {
					live, more = 1, 1
				}
				if gate.Sessions() != live || counted(t, s.metrics.sessionsTotal, full) != before[full]+more {
					t.Errorf("%s: %s has %d sessions, %v more counted", test.reason, full, gate.Sessions(), counted(t, s.metrics.sessionsTotal, full)-before[full])
				}
			}
			must(t, client.Close())
			end := s.log.Await(t.Context(), t, "the end", func(e record.Event) bool { return e.Type == record.SessionEnd && e.Session == session })
			if end.Connection.Name != test.want {
				t.Errorf("%s: its end is on record of %s", test.reason, end.Connection.Name)
			}
		})
	}
}

// TestRoutesLiveApart: at one address, the end and the drain of one Connection are nothing to
// the other.
func TestRoutesLiveApart(t *testing.T) {
	s := newStreet(t, Options{CutTimeout: time.Second}, []string{"ops/web", "ops/db"}, "ops/db")
	web, db := s.call("ops/web", "", "login\n"), s.call("ops/web", "db", "login\n")
	kept, killed := web.hears(), db.hears()
	if s.gates["ops/web"].Terminate(killed, "why") {
		t.Error("the session is the listener's")
	}
	if !s.gates["ops/db"].Terminate(killed, "why") {
		t.Fatal("the session is not at its gate")
	}
	if line := db.hears(); line != "" {
		t.Errorf("the session goes on: %q", line)
	}
	s.log.Await(t.Context(), t, "its end", func(e record.Event) bool { return e.Type == record.SessionEnd && e.Session == killed })
	if s.gates["ops/web"].Sessions() != 1 {
		t.Error("the other ended too")
	}
	s.gates["ops/db"].Drain()
	if got := s.call("ops/web", "db", "login\n").hears(); got != "refused" {
		t.Errorf("while it drains: %q", got)
	}
	if got := s.call("ops/web", "", "login\n").hears(); !strings.HasPrefix(got, "web-") {
		t.Errorf("the other, meanwhile: %q", got)
	}
	s.gates["ops/db"].Close(access.ErrDraining)
	_, err := web.Write([]byte("bye\n"))
	must(t, err)
	if end := s.log.Await(t.Context(), t, "its end", func(e record.Event) bool { return e.Type == record.SessionEnd && e.Session == kept }); end.Reason != "the client left" {
		t.Errorf("it ended: %s", end.Reason)
	}
}

// TestRoutedTrouble: what goes wrong before there is a session is counted, and on record, of
// the Connection that was named.
func TestRoutedTrouble(t *testing.T) {
	s := newStreet(t, Options{HandshakeTimeout: time.Second}, []string{"ops/web", "ops/db"}, "ops/db")
	if line := s.call("ops/web", "db", "panic\n").hears(); line != "" {
		t.Errorf("after a panic: %q", line)
	}
	failed := s.log.Await(t.Context(), t, "the panic", func(e record.Event) bool { return e.Type == record.AuthenticationFailed })
	if failed.Connection.Name != "db" || failed.Reason != ErrInternal.Error() {
		t.Errorf("on record: %+v", failed)
	}
	if line := s.call("ops/web", "db", "").hears(); line != "" {
		t.Errorf("who says nothing hears %q", line)
	}
	// The figures follow the end of the connection.
	s.stop()
	<-s.stopped
	for name, vec := range map[string]*prometheus.CounterVec{"panics": s.metrics.panics, "turned away": s.metrics.turnedAway} {
		if web, db := counted(t, vec, "ops/web"), counted(t, vec, "ops/db"); web != 0 || db != 1 {
			t.Errorf("%s: %v of web, %v of db", name, web, db)
		}
	}
}

// TestServerDrainsRoutes: the stop of the server waits for sessions of those who came to another
// address, and ends them.
func TestServerDrainsRoutes(t *testing.T) {
	s := newStreet(t, Options{DrainTimeout: 50 * time.Millisecond}, []string{"ops/web", "ops/db"}, "ops/db")
	client := s.call("ops/web", "db", "login\n")
	session := client.hears()
	var heard string
	var hearing sync.WaitGroup
	hearing.Go(func() { heard = client.hears() })
	s.stop()
	<-s.stopped
	hearing.Wait()
	end := s.log.OfType(record.SessionEnd)
	if heard != "" || len(end) != 1 || end[0].Session != session || end[0].ReasonCode != access.EndDraining {
		t.Errorf("heard %q, ends on record: %+v", heard, end)
	}
}
