// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/proxy/record/sink/webhook"
)

// fake starts a receiver in the clear that answers with handler.
func fake(t *testing.T, handler http.HandlerFunc) webhook.Options {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return webhook.Options{
		URL: s.URL + "/hook?token=canary-query", Secrets: [][]byte{[]byte(newSecret())}, TLS: sink.TLS{Disabled: true},
		Headers: map[string]string{"authorization": "Bearer canary-bearer"},
	}
}

func answer(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		if status >= 300 {
			fmt.Fprint(w, "the reason")
		}
	}
}

// hangUp closes the connection after a part of the request, or of the answer.
func hangUp(said string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 10))
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(connection, said)
		_ = connection.Close()
	}
}

func endless(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
}

func TestFaults(t *testing.T) {
	cases := map[string]struct {
		reason  string
		handler http.HandlerFunc
		want    string
		after   time.Duration
	}{
		"ServerError":   {reason: "the Shipper tries again", handler: answer(500), want: `status 500: "the reason"`},
		"NotModified":   {reason: "304 is not 2xx", handler: answer(304), want: "status 304"},
		"Unauthorized":  {reason: "what is wrong is named", handler: answer(401), want: "signing secret or the headers"},
		"Forbidden":     {reason: "what is wrong is named", handler: answer(403), want: "signing secret or the headers"},
		"NotFound":      {reason: "what is wrong is named", handler: answer(404), want: "correct the URL"},
		"Gone":          {reason: "a receiver that is gone stops nothing silently", handler: answer(410), want: "correct the URL"},
		"MediaType":     {reason: "what is wrong is named", handler: answer(415), want: "application/x-ndjson"},
		"TooMany":       {reason: "the pause asked for is kept", handler: answer(429, "Retry-After", "17"), want: "status 429", after: 17 * time.Second},
		"Unavailable":   {reason: "the pause asked for is kept", handler: answer(503, "Retry-After", "18"), want: "status 503", after: 18 * time.Second},
		"HangUp":        {reason: "no answer accepts nothing", handler: hangUp(""), want: "cannot post"},
		"HalfAnswer":    {reason: "half an answer accepts nothing", handler: hangUp("HTTP/1.1 200 OK\r\nDa"), want: "cannot post"},
		"HalfBody":      {reason: "half an answer accepts nothing", handler: hangUp("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), want: "unexpected EOF"},
		"NotHTTP":       {reason: "any server may answer", handler: hangUp("220 mail ready\r\n"), want: "malformed HTTP"},
		"EndlessAnswer": {reason: "an answer is read within bounds", handler: endless(500), want: "status 500"},
		"Echo": {
			reason: "checklist 47, 48: secrets that come back, and escape sequences, are not shown",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, "%s %s\x1b[2K\u202e%s", r.Header.Get("Authorization"), r.URL.RawQuery, strings.Repeat("x", 9000))
			},
			want: "[redacted] [redacted]",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := fake(t, tc.handler)
			err := open(t, options).Write(t.Context(), sinktest.Records(3, 5))
			if err == nil {
				t.Fatalf("%s: accepted", tc.reason)
			}
			text := err.Error()
			for _, part := range []string{tc.want, strings.TrimSuffix(options.URL, "?token=canary-query"), `"` + sinktest.LogID + `/3-4"`} {
				if !strings.Contains(text, part) {
					t.Errorf("%s: %q does not say %q", tc.reason, text, part)
				}
			}
			if strings.Contains(text, "canary") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 1500 {
				t.Errorf("%s: not fit to show, or too long: %q", tc.reason, text)
			}
			var failure interface{ RetryAfter() time.Duration }
			if !errors.As(err, &failure) || failure.RetryAfter() != tc.after {
				t.Errorf("%s: %v does not ask for a pause of %s", tc.reason, err, tc.after)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"OK": answer(200), "Accepted": answer(202), "NoContent": answer(204), "EndlessAnswer": endless(200),
	} {
		t.Run(name, func(t *testing.T) {
			if err := open(t, fake(t, handler)).Write(t.Context(), sinktest.Records(0, 5)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNeverAnswers: Write ends with its context.
func TestNeverAnswers(t *testing.T) {
	release := make(chan struct{})
	options := fake(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := open(t, options).Write(ctx, sinktest.Records(0, 5))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 30*time.Second {
		t.Errorf("Write: %v after %s, want %v soon", err, time.Since(began), context.DeadlineExceeded)
	}
}

// TestNoRedirect is checklist 25: records go where the URL says and nowhere
// else.
func TestNoRedirect(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		options := fake(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/x", status) })
		err := open(t, options).Write(t.Context(), sinktest.Records(0, 1))
		if err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
			t.Errorf("status %d: %v, want an error that says that redirects are not followed", status, err)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
}

// TestRefusesRecords: what cannot be posted whole is not posted in part.
func TestRefusesRecords(t *testing.T) {
	var posted atomic.Int64
	options := fake(t, func(http.ResponseWriter, *http.Request) { posted.Add(1) })
	options.Encode = func(dst []byte, r record.Record) ([]byte, error) {
		if r.Position.Index == 3 {
			return nil, errors.New("boom")
		}
		return append(dst, r.JSON...), nil
	}
	if err := open(t, options).Write(t.Context(), sinktest.Records(0, 5)); err == nil || !strings.Contains(err.Error(), sinktest.LogID+"/3") {
		t.Errorf("Write: %v, want an error that names the record", err)
	}
	if n := posted.Load(); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}
