// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errBoom  = errors.New("boom")
	errOther = errors.New("other")
)

func ends(err error) relay.Pump { return func(context.Context) error { return err } }

// follows returns err once the pair is cancelled.
func follows(err error) relay.Pump {
	return func(ctx context.Context) error {
		<-ctx.Done()
		return err
	}
}

func TestPair(t *testing.T) {
	cases := map[string]struct {
		reason string
		a, b   relay.Pump
		want   error
	}{
		"BothEnd":        {reason: "two pumps that end well are no error", a: ends(nil), b: ends(nil)},
		"FirstFails":     {reason: "the first error ends the other and is returned", a: ends(errBoom), b: follows(errOther), want: errBoom},
		"SecondFails":    {reason: "either side may be the first to fail", a: follows(errOther), b: ends(errBoom), want: errBoom},
		"OtherEndsWell":  {reason: "an error is kept though the other pump ends without one", a: follows(nil), b: ends(errBoom), want: errBoom},
		"FailsAfterHalf": {reason: "a pump that ended well does not end the other", a: ends(nil), b: ends(errBoom), want: errBoom},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := relay.Pair(t.Context(), tc.a, tc.b); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}

func TestPairTellsTheCause(t *testing.T) {
	var cause error
	err := relay.Pair(t.Context(), ends(errBoom), func(ctx context.Context) error {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return ctx.Err()
	})
	if !errors.Is(err, errBoom) || !errors.Is(cause, errBoom) {
		t.Errorf("Pair = %v with cause %v, want %v for both", err, cause, errBoom)
	}
}

func TestPairEndedFromOutside(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBoom)
	if err := relay.Pair(ctx, follows(errOther), follows(nil)); !errors.Is(err, errBoom) {
		t.Errorf("Pair = %v, want the cause of the outer context", err)
	}
}

func TestPairPanic(t *testing.T) {
	err := relay.Pair(t.Context(), func(context.Context) error { panic("secret bytes") }, follows(nil))
	var panicked *relay.PanicError
	if !errors.As(err, &panicked) {
		t.Fatalf("Pair = %v, want a PanicError", err)
	}
	if got, want := err.Error(), "pump panicked: string"; got != want {
		t.Errorf("Error() = %q, want %q: the value may hold bytes of the connection", got, want)
	}
	if len(panicked.Stack) == 0 {
		t.Error("the stack is missing")
	}
}

// tcpPair is a connected pair of TCP connections on loopback.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- conn
	}()
	client, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, ok := <-accepted
	if !ok {
		t.Fatal("accept failed")
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestCopyHalfCloses(t *testing.T) {
	caller, proxyFront := tcpPair(t)
	proxyBack, target := tcpPair(t)
	ended := make(chan error, 1)
	go func() {
		ended <- relay.Pair(t.Context(),
			func(context.Context) error { return relay.Copy(proxyBack, proxyFront) },
			func(context.Context) error { return relay.Copy(proxyFront, proxyBack) })
	}()
	if _, err := io.WriteString(caller, "question"); err != nil {
		t.Fatal(err)
	}
	if err := relay.CloseWrite(caller); err != nil {
		t.Fatal(err)
	}
	question, err := io.ReadAll(target)
	if err != nil || string(question) != "question" {
		t.Fatalf("target read %q, %v", question, err)
	}
	if _, err := io.WriteString(target, "answer"); err != nil {
		t.Fatal(err)
	}
	target.Close()
	answer, err := io.ReadAll(caller)
	if err != nil || string(answer) != "answer" {
		t.Fatalf("caller read %q, %v: the answer must pass after the question ended", answer, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Pair = %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	client, server := tcpPair(t)
	err := relay.Pair(t.Context(), func(ctx context.Context) error {
		stop := relay.Interrupt(ctx, client, server)
		defer stop()
		_, err := client.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v, want a deadline", err)
		}
		return err
	}, ends(errBoom))
	if !errors.Is(err, errBoom) {
		t.Errorf("Pair = %v, want the first error", err)
	}
}

func TestInterruptStopped(t *testing.T) {
	client, server := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	stop := relay.Interrupt(ctx, client)
	if !stop() {
		t.Error("stop = false before the context ended")
	}
	cancel()
	if _, err := io.WriteString(server, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Errorf("Read = %v: a stopped interrupt must not touch the connection", err)
	}
}

func TestCloseWriteImpossible(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := relay.CloseWrite(a); !errors.Is(err, relay.ErrNoHalfClose) {
		t.Errorf("CloseWrite = %v, want ErrNoHalfClose", err)
	}
}
