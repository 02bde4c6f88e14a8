// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/review/wire"
	"github.com/doorward/doorward/proxy/server"
)

var read = wire.Access{Action: "select", Resource: "public.orders"}

// ended waits until the other side has closed a connection, and returns what it said.
func ended(t *testing.T, conn net.Conn) string {
	t.Helper()
	said, err := io.ReadAll(conn)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection stays open")
	}
	return string(said)
}

// TestSlow: checklist 4: whoever asks slowly, or not at all, is gone within the time for
// a login, and is on record.
func TestSlow(t *testing.T) {
	h := newHouse(t, server.Options{HandshakeTimeout: 500 * time.Millisecond, CutTimeout: 100 * time.Millisecond}, shop()...)
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", wire.AccessPath)
	cases := map[string]struct {
		reason, sends string
		kind          record.Type
	}{
		"Silent":  {"a handshake and nothing more", "", record.AuthenticationFailed},
		"Headers": {"headers that do not end", request + "X-A: ", record.AuthenticationFailed},
		"Body":    {"a body that does not come", request + "Authorization: Bearer " + h.token("bob") + "\r\nContent-Length: 1000\r\n\r\n{", record.AccessReviewed},
		"Chunks":  {"chunks that do not come", request + "Authorization: Bearer " + h.token("bob") + "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{", record.AccessReviewed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(h.log.OfType(tc.kind))
			conn := h.dial()
			_, err := conn.Write([]byte(tc.sends))
			must(t, err)
			ended(t, conn)
			ctx, cancel := withBound(t)
			defer cancel()
			h.log.Await(ctx, t, tc.reason, func(record.Event) bool { return len(h.log.OfType(tc.kind)) > before })
		})
	}
}

// TestNoRequest: what is no request of HTTP/1.1 gets no answer to a question, and is on
// record; checklist 24: after a question nothing more is read, whatever its length is said to be.
func TestNoRequest(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	body := `{"apiVersion":"review.doorward.dev/v1alpha1","kind":"SelfAccessReview","spec":{"accesses":[{"action":"select","resource":"public.orders"}]}}`
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n", wire.AccessPath, h.token("bob"))
	once := head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	cases := map[string]struct {
		reason, sends string
		answers       int
	}{
		"Garbage":    {"no HTTP", "\x00\x00\x00\x08\x04\xd2\x16\x2f\r\n\r\n", 0},
		"HTTP2":      {"a preface that was not agreed on", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
		"Both":       {"two lengths", head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s", len(body), body), 0},
		"TwoLengths": {"two lengths", head + fmt.Sprintf("Content-Length: %d\r\nContent-Length: 1\r\n\r\n%s", len(body), body), 0},
		"Once":       {"a question", once, 1},
		"Pipelined":  {"a second one on the same connection", once + once, 1},
		"Upgrade":    {"checklist 21: no upgrade", strings.Replace(once, "Host:", "Connection: Upgrade\r\nUpgrade: websocket\r\nHost:", 1), 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(h.log.OfType(record.AccessReviewed))
			conn := h.dial()
			_, err := conn.Write([]byte(tc.sends))
			must(t, err)
			said := ended(t, conn)
			if got := strings.Count(said, `"effect":"Allow"`); got != tc.answers {
				t.Errorf("%s: %d answers, want %d: %q", tc.reason, got, tc.answers, said)
			}
			decided := 0
			for _, event := range h.log.OfType(record.AccessReviewed)[before:] {
				if event.Decision != nil {
					decided++
				}
			}
			if decided != tc.answers {
				t.Errorf("%s: %d questions on record, want %d", tc.reason, decided, tc.answers)
			}
		})
	}
}

// TestCrowd: checklist 4: clients that prove nothing are bounded with those of the port
// for sessions, and keep nobody from asking.
func TestCrowd(t *testing.T) {
	h := newHouse(t, server.Options{MaxUnproven: 8, HandshakeTimeout: bound, CutTimeout: 10 * time.Millisecond}, shop()...)
	var crowd sync.WaitGroup
	for range 60 {
		conn := h.dial()
		crowd.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	}
	if _, got := h.ask(h.token("bob"), read); got.code != http.StatusOK {
		t.Errorf("with a crowd at the door: %d %s", got.code, got.body)
	}
	h.stop()
	crowd.Wait()
}

// TestStop: a question that is being answered is answered when the proxy drains, and
// one that cannot be is given up; nothing is left behind, which the package's leak
// check sees.
func TestStop(t *testing.T) {
	h := newHouse(t, server.Options{DrainTimeout: time.Millisecond, CutTimeout: 50 * time.Millisecond}, shop()...)
	silent := h.dial()
	token := h.token("bob")
	release := h.log.Hold()
	defer release()
	asked := make(chan struct{})
	h.mu.Lock()
	h.asked = func() { close(asked) }
	h.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+h.address+wire.AccessPath,
			strings.NewReader(`{"apiVersion":"review.doorward.dev/v1alpha1","kind":"SelfAccessReview","spec":{"accesses":[{"action":"select"}]}}`))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Content-Type", wire.MediaType)
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := h.client.Do(request)
		if err != nil {
			return // it was cut
		}
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a question whose record is not durable: %d", answer.StatusCode)
		}
		_ = answer.Body.Close()
	}()
	<-asked
	stopped := make(chan struct{})
	go func() { defer close(stopped); h.stop() }()
	<-gone
	release() // the disk is back, or nobody's end could be put on record
	<-stopped
	ended(t, silent)
}

// TestPanic: a fault of ours ends one exchange, and is counted by the server.
func TestPanic(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	h.mu.Lock()
	h.asked = func() { panic("canary") }
	h.mu.Unlock()
	token := h.token("bob")
	if _, got := h.ask(token, read); got.code != http.StatusInternalServerError || strings.Contains(string(got.body), "canary") {
		t.Errorf("%d %s", got.code, got.body)
	}
	h.mu.Lock()
	h.asked = nil
	h.mu.Unlock()
	if _, got := h.ask(token, read); got.code != http.StatusOK {
		t.Errorf("afterwards: %d %s", got.code, got.body)
	}
}
