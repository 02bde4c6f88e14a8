// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package protocoltest

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Suite is what Run needs to know of a protocol.
type Suite struct {
	// Road makes an open road to a real or rogue target of the protocol.
	Road func(tb testing.TB) (*Road, *Server)
	// Connect opens a session as a client of the protocol would, with a token.
	Connect func(ctx context.Context, address string, roots *x509.CertPool, token string) (Session, error)
	// Garbage are openings that no client of the protocol sends; each must end
	// the connection and be on record.
	Garbage map[string][]byte
	// DialsOnConnect is set where opening a session reaches the target.
	DialsOnConnect bool
}

// Session is a client's session.
type Session interface {
	// Operate runs one harmless operation and returns the error that the
	// client was given.
	Operate(ctx context.Context) error
	// Ended waits for the session to be ended from the other side and returns
	// what the client was told.
	Ended(ctx context.Context) string
	Close() error
}

// bound is how long a check may take before it has failed.
const bound = 30 * time.Second

// Run checks a protocol.
func Run(t *testing.T, suite Suite) {
	t.Helper()
	checks := map[string]func(*testing.T, Suite, *Road, *Server){
		"a refused credential is on record and dials nothing": refusedCredential,
		"nothing is forwarded before its record is durable":   recordFirst,
		"a log that fails refuses the operation":              failingLog,
		"a log that fails refuses the session":                failingLogAtStart,
		"a denied operation is refused and on record":         deniedOperation,
		"a closed gate lets nobody in":                        closedGate,
		"the end of the server is told":                       endOfServer,
		"a revoked session is ended and told":                 revoked,
		"a target that cannot be reached is told":             unreachable,
		"silence does not keep the server":                    silentClient,
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			// Registered first, so that it looks after everything has been stopped.
			ignored := goleak.IgnoreCurrent()
			t.Cleanup(func() {
				if err := goleak.Find(ignored); err != nil {
					t.Errorf("goroutines are left: %v", err)
				}
			})
			road, server := suite.Road(t)
			check(t, suite, road, server)
		})
	}
	for name, opening := range suite.Garbage {
		t.Run("garbage: "+name, func(t *testing.T) {
			road, server := suite.Road(t)
			garbage(t, road, server, opening)
		})
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, suite Suite, road *Road, server *Server) Session {
	t.Helper()
	session, err := suite.Connect(within(t), server.Address, road.RootCAs, Token)
	if err != nil {
		t.Fatalf("cannot open a session: %v", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func refusedCredential(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	if session, err := suite.Connect(within(t), server.Address, road.RootCAs, "bad-token"); err == nil {
		_ = session.Close()
		t.Fatal("a bad token opened a session")
	}
	event := road.Log.Await(within(t), t, "rejection", recordOf(record.AuthenticationFailed))
	if event.ClientAddress == "" || event.Connection.Name == "" || strings.Contains(event.Reason, "bad-token") {
		t.Errorf("record of the rejection: %+v", event)
	}
	if n := road.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times", n)
	}
}

func recordFirst(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	session := connect(t, suite, road, server)
	release := road.Log.Hold()
	defer release()
	done := make(chan error, 1)
	ctx := within(t)
	go func() { done <- session.Operate(ctx) }()
	// The operation must wait for as long as its record does. The check can
	// only miss a fault, never invent one.
	select {
	case err := <-done:
		t.Fatalf("the operation was answered before its record was durable: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	release()
	if err := <-done; err != nil {
		t.Fatalf("after the record: %v", err)
	}
	events := road.Log.Events()
	decided := slices.IndexFunc(events, recordOf(record.OperationDecided))
	result := slices.IndexFunc(events, recordOf(record.OperationResult))
	if decided < 0 || result < decided {
		t.Errorf("decision is record %d, result record %d", decided, result)
	}
}

var errDisk = errors.New("no space left on device")

func failingLog(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	session := connect(t, suite, road, server)
	road.Log.Fail(errDisk)
	if err := session.Operate(within(t)); err == nil {
		t.Error("an operation that cannot be recorded was forwarded")
	} else if strings.Contains(err.Error(), errDisk.Error()) {
		t.Errorf("the caller sees the proxy's own trouble: %v", err)
	}
}

func failingLogAtStart(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	road.Log.Fail(errDisk)
	if session, err := suite.Connect(within(t), server.Address, road.RootCAs, Token); err == nil {
		defer session.Close()
		if err := session.Operate(within(t)); err == nil {
			t.Error("a session whose start cannot be recorded was opened")
		}
	}
	if n := road.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times", n)
	}
}

func deniedOperation(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	session := connect(t, suite, road, server)
	road.Engine.Set(func(op policy.Operation) policy.Decision {
		return policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{Rule}, Access: op.Accesses[0], Message: "the admin's words"}
	})
	road.Apply(t)
	err := session.Operate(within(t))
	if err == nil {
		t.Fatal("a denied operation was answered")
	}
	if !strings.Contains(err.Error(), "the admin's words") {
		t.Errorf("the refusal does not say why: %v", err)
	}
	event := road.Log.Await(within(t), t, "refusal", recordOf(record.OperationDecided))
	if event.Decision.Effect != policy.Deny || event.Actor == nil || event.Actor.UserName != UserName {
		t.Errorf("record of the refusal: %+v", event)
	}
	road.Engine.Set(nil)
	road.Apply(t)
	if err := session.Operate(within(t)); err != nil {
		t.Errorf("the session does not go on after a refusal: %v", err)
	}
}

func closedGate(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	road.Gate.Close(access.ErrStale)
	if session, err := suite.Connect(within(t), server.Address, road.RootCAs, Token); err == nil {
		defer session.Close()
		if err := session.Operate(within(t)); err == nil {
			t.Error("a closed gate let an operation pass")
		}
	}
	if n := road.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times", n)
	}
}

func endOfServer(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	session := connect(t, suite, road, server)
	server.Stop(t, access.ErrDraining)
	if told := session.Ended(within(t)); !strings.Contains(told, access.ErrDraining.Error()) {
		t.Errorf("the client was told %q", told)
	}
	road.Log.Await(within(t), t, "session end", recordOf(record.SessionEnd))
}

func revoked(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	session := connect(t, suite, road, server)
	road.Engine.RefuseConnect()
	road.Apply(t)
	if told := session.Ended(within(t)); !strings.Contains(told, access.ErrRevoked.Error()) {
		t.Errorf("the client was told %q", told)
	}
	event := road.Log.Await(within(t), t, "session end", recordOf(record.SessionEnd))
	if !strings.Contains(event.Reason, access.ErrRevoked.Error()) {
		t.Errorf("the record says %q", event.Reason)
	}
}

func unreachable(t *testing.T, suite Suite, road *Road, server *Server) {
	t.Helper()
	if !suite.DialsOnConnect {
		t.Skip("this protocol reaches its target per operation")
	}
	road.Dialer.Fail(errors.New("secret-internal-address refused"))
	session, err := suite.Connect(within(t), server.Address, road.RootCAs, Token)
	if err == nil {
		_ = session.Close()
		t.Fatal("a session was opened without a target")
	}
	if strings.Contains(err.Error(), "secret-internal-address") {
		t.Errorf("the caller sees the dialer's own error: %v", err)
	}
	road.Log.Await(within(t), t, "session end", recordOf(record.SessionEnd))
}

// silentClient connects and says nothing; the end of the server ends it.
func silentClient(t *testing.T, _ Suite, _ *Road, server *Server) {
	t.Helper()
	conn := dial(t, server)
	server.Stop(t, access.ErrDraining)
	_ = conn.SetReadDeadline(time.Now().Add(bound))
	if _, err := io.Copy(io.Discard, conn); err != nil && errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the connection is still open: %v", err)
	}
}

func garbage(t *testing.T, road *Road, server *Server, opening []byte) {
	t.Helper()
	conn := dial(t, server)
	if _, err := conn.Write(opening); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(bound))
	_, err := io.Copy(io.Discard, conn)
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		t.Fatal("the connection stays open")
	}
	road.Log.Await(within(t), t, "rejection", recordOf(record.AuthenticationFailed))
	if n := road.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times", n)
	}
}

func dial(t *testing.T, server *Server) net.Conn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(within(t), "tcp", server.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func recordOf(kind record.Type) func(record.Event) bool {
	return func(e record.Event) bool { return e.Type == kind }
}
