// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/review/wire"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/test/oidctest"
)

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

// TestUnproven: checklist 28 and 29: nobody asks with a token that opens no session
// here, and nobody is told more than that. Each attempt is on record, without the token.
func TestUnproven(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	good := h.token("bob")
	key, err := oidctest.NewKey()
	must(t, err)
	forged, err := oidctest.Sign(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: h.issuer.SigningKey().KeyID}},
		[]byte(fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"1","preferred_username":"bob","exp":%d}`, h.issuer.URL(), audience, time.Now().Add(time.Hour).Unix())), nil)
	must(t, err)
	other, err := oidctest.Start()
	must(t, err)
	t.Cleanup(func() { must(t, other.Close()) })
	stranger, err := other.Token(map[string]any{"sub": "1", "preferred_username": "bob", "aud": audience})
	must(t, err)
	question := operation(wire.Access{Action: "select", Resource: "public.orders"})
	cases := map[string]struct {
		reason string
		token  string
		edit   func(*http.Request)
		want   int
	}{
		"None":             {"no token", "", nil, http.StatusUnauthorized},
		"Forged":           {"signed by somebody else with the issuer's key id", forged, nil, http.StatusUnauthorized},
		"OtherIssuer":      {"an issuer that the Connection does not take", stranger, nil, http.StatusUnauthorized},
		"WrongAudience":    {"a token for the API server", h.token("bob", map[string]any{"aud": "kubernetes"}), nil, http.StatusUnauthorized},
		"OtherConnections": {"a token of another gateway's audience", h.token("bob", map[string]any{"aud": "doorward-other"}), nil, http.StatusUnauthorized},
		"Expired":          {"a token whose time is over", h.token("bob", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), nil, http.StatusUnauthorized},
		"TooLarge":         {"more than any token has", strings.Repeat("a", 17<<10), nil, http.StatusUnauthorized},
		"Two":              {"which of two counts is for nobody to guess", good, header("Authorization", "Bearer "+good, "Bearer "+good), http.StatusUnauthorized},
		"Basic":            {"passwords are not tokens", good, header("Authorization", "Basic "+good), http.StatusUnauthorized},
		"Cookie":           {"a cookie is no token", "", header("Cookie", "token="+good), http.StatusUnauthorized},
		"Query":            {"a URL ends up in logs", "", func(r *http.Request) { r.URL.RawQuery = "access_token=" + good }, http.StatusNotFound},
		"Get":              {"GET asks nothing", good, func(r *http.Request) { r.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		"Options": {"checklist 26: no page of another origin is let in", good, func(r *http.Request) {
			r.Method = http.MethodOptions
			r.Header.Set("Origin", "https://evil.example")
		}, http.StatusMethodNotAllowed},
		"Path":   {"checklist 23: one spelling of a path, and no redirect", good, func(r *http.Request) { r.URL.Path = "/" + wire.AccessPath }, http.StatusNotFound},
		"Dots":   {"checklist 23", good, func(r *http.Request) { r.URL.Path = wire.AccessPath + "/../selfaccessreviews" }, http.StatusNotFound},
		"Header": {"more headers than are read", good, header("X-Large", strings.Repeat("a", 64<<10)), http.StatusRequestHeaderFieldsTooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(h.log.OfType(record.AuthenticationFailed))
			edit := tc.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			got := h.post(wire.AccessPath, tc.token, question, edit)
			if got.code != tc.want {
				t.Errorf("%s: %d %s, want %d", tc.reason, got.code, got.body, tc.want)
			}
			for _, name := range []string{"Location", "Access-Control-Allow-Origin", "Set-Cookie"} {
				if got.header.Get(name) != "" {
					t.Errorf("%s: header %s: %s", tc.reason, name, got.header.Get(name))
				}
			}
			ctx, cancel := withBound(t)
			defer cancel()
			h.log.Await(ctx, t, "the record of the attempt", func(record.Event) bool { return len(h.log.OfType(record.AuthenticationFailed)) > before })
		})
	}
	if len(h.log.OfType(record.AccessReviewed)) != 0 {
		t.Error("somebody unproven was answered")
	}
	shows(t, h, good, forged)
}

// shows fails where a record holds one of the tokens (checklist 47).
func shows(t *testing.T, h *house, tokens ...string) {
	t.Helper()
	text, err := json.Marshal(h.log.Documents(t))
	must(t, err)
	for _, token := range tokens {
		if signature := token[strings.LastIndex(token, ".")+1:]; strings.Contains(string(text), signature) {
			t.Errorf("a record holds a token")
		}
	}
}

// TestInvalid: checklist 40: what is not understood is an error that names it, and
// never an answer to something else. It is on record that something was asked.
func TestInvalid(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	const head = `{"apiVersion":"review.doorward.dev/v1alpha1","kind":"SelfAccessReview","spec":`
	cases := map[string]struct {
		reason, body string
		edit         func(*http.Request)
		code         int
		want         string
	}{
		"NotJSON":     {"no JSON", `accesses: []`, nil, 400, "no JSON"},
		"Empty":       {"nothing", ``, nil, 400, "no JSON"},
		"Unknown":     {"a field that is not known is named", head + `{"accesses":[{"action":"select","resuorce":"x"}]}}`, nil, 400, `unknown field \"spec.accesses[0].resuorce\"`},
		"Case":        {"names have a case", head + `{"Accesses":[{"action":"select"}]}}`, nil, 400, `unknown field \"spec.Accesses\"`},
		"Twice":       {"which of two counts is not guessed", head + `{"accesses":[],"accesses":[{"action":"select"}]}}`, nil, 400, `duplicate field \"spec.accesses\"`},
		"Trailing":    {"one object", head + `{"accesses":[{"action":"select"}]}} {}`, nil, 400, "after top-level value"},
		"Kind":        {"the other kind has another path", strings.Replace(head, "Access", "Rules", 1) + `{}}`, nil, 400, "SelfAccessReview"},
		"User":        {"nobody asks for another", head + `{"accesses":[{"action":"select"}],"user":"alice"}}`, nil, 400, `unknown field \"spec.user\"`},
		"Status":      {"the answer is not the caller's", head + `{"accesses":[{"action":"select"}]},"status":{"effect":"Allow"}}`, nil, 400, "status"},
		"None":        {"an operation does something", head + `{"accesses":[]}}`, nil, 400, "at least one thing"},
		"Many":        {"so many accesses at most", head + `{"accesses":[` + strings.Repeat(`{"action":"select"},`, wire.MaxAccesses) + `{"action":"select"}]}}`, nil, 400, "at most 64"},
		"Long":        {"so long a resource at most", head + `{"accesses":[{"action":"select","resource":"` + strings.Repeat("r", wire.MaxResource+1) + `"}]}}`, nil, 400, "at most 1024 bytes"},
		"Action":      {"words of the protocol", head + `{"accesses":[{"action":"slect","resource":"public.orders"}]}}`, nil, 400, `postgres has no \"slect\"`},
		"Wildcard":    {"a pattern is no operation", head + `{"accesses":[{"action":"*","resource":"public.orders"}]}}`, nil, 400, `has no \"*\"`},
		"Property":    {"words of the protocol", head + `{"accesses":[{"action":"select"}],"properties":["unboundedWrit"]}}`, nil, 400, "unboundedWrit"},
		"Connection":  {"a question about another Connection", head + `{"connection":{"namespace":"data","name":"payroll"},"accesses":[{"action":"select"}]}}`, nil, 404, "another Connection"},
		"Body":        {"more than is read", head + strings.Repeat(" ", wire.MaxBody) + `{}}`, nil, 413, "more than 32768 bytes"},
		"ContentType": {"a form of a page is no question", head + `{"accesses":[{"action":"select"}]}}`, header("Content-Type", "text/plain"), 415, "application/json"},
		"Compressed":  {"a small body that becomes a large one", head + `{}}`, header("Content-Encoding", "gzip"), 415, "no Content-Encoding"},
	}
	number := 0
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			number++
			token := h.token(fmt.Sprintf("bob%d", number)) // each has his own pace
			before := len(h.log.OfType(record.AccessReviewed))
			edit := tc.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			got := h.post(wire.AccessPath, token, tc.body, edit)
			if got.code != tc.code || !strings.Contains(string(got.body), tc.want) {
				t.Errorf("%s: %d %s, want %d and %q", tc.reason, got.code, got.body, tc.code, tc.want)
			}
			reviews := h.log.OfType(record.AccessReviewed)
			if len(reviews) != before+1 || reviews[before].Decision != nil || reviews[before].Reason == "" || reviews[before].Actor == nil {
				t.Errorf("%s: on record: %+v", tc.reason, reviews[before:])
			}
		})
	}
}

// TestNoAnswer: what keeps a session from being opened keeps a question from being
// answered, with 503 and why.
func TestNoAnswer(t *testing.T) {
	read := wire.Access{Action: "select", Resource: "public.orders"}
	cases := map[string]struct {
		reason string
		spoil  func(*house)
		want   string
	}{
		"Stale":    {"the proof of freshness ran out", func(h *house) { h.stale() }, "lost contact"},
		"Draining": {"another proxy answers", func(h *house) { h.gate.Drain() }, "shutting down"},
		"Log":      {"checklist 42 and 43: what cannot be put on record is not answered", func(h *house) { h.log.Fail(errors.New("canary-disk is full")) }, "record could not be written"},
		"Issuer":   {"the issuer's keys cannot be had", func(h *house) { h.issuer.SetOutage(true) }, "could not be checked"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, server.Options{}, shop()...)
			token := h.token("bob")
			tc.spoil(h)
			_, got := h.ask(token, read)
			if got.code != http.StatusServiceUnavailable || !strings.Contains(string(got.body), tc.want) || got.header.Get("Retry-After") == "" || strings.Contains(string(got.body), "canary") {
				t.Errorf("%s: %d %s", tc.reason, got.code, got.body)
			}
		})
	}
}

// TestChangedMeanwhile: an answer that is not true any more when its record is durable
// is not given; the caller is told to ask again, and then hears the new one.
func TestChangedMeanwhile(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	token := h.token("bob")
	read := wire.Access{Action: "select", Resource: "public.orders"}
	h.mu.Lock()
	h.asked = func() {
		h.mu.Lock()
		h.asked = nil
		h.mu.Unlock()
		h.apply(shop()[1:]...) // bob loses what allowed him
	}
	h.mu.Unlock()
	if _, got := h.ask(token, read); got.code != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "Ask again") {
		t.Errorf("while the policies changed: %d %s", got.code, got.body)
	}
	if got, raw := h.ask(token, read); got == nil || got.Effect != "Deny" {
		t.Errorf("afterwards: %d %s", raw.code, raw.body)
	}
}

// TestDurableFirst: checklist 42: no byte of the answer leaves before its record is
// durable.
func TestDurableFirst(t *testing.T) {
	h := newHouse(t, server.Options{HandshakeTimeout: bound}, shop()...)
	token := h.token("bob")
	release := h.log.Hold()
	defer release()
	answered := make(chan reply, 1)
	asked := make(chan struct{})
	h.mu.Lock()
	h.asked = func() { close(asked) }
	h.mu.Unlock()
	go func() {
		_, got := h.ask(token, wire.Access{Action: "select", Resource: "public.orders"})
		answered <- got
	}()
	<-asked
	select {
	case got := <-answered:
		t.Fatalf("answered without a record: %s", got.body)
	case <-time.After(200 * time.Millisecond): // a short wait can only let a fault pass
	}
	release()
	if got := <-answered; got.code != http.StatusOK {
		t.Errorf("%d %s", got.code, got.body)
	}
}

// TestPace: one caller asks so often at most, and others are not held up (checklist 38).
func TestPace(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	token := h.token("bob")
	last := 0
	for n := 0; last != http.StatusTooManyRequests; n++ {
		if n > 1000 {
			t.Fatal("nobody is ever told to slow down")
		}
		_, got := h.ask(token, wire.Access{Action: "select", Resource: "public.orders"})
		last = got.code
	}
	if _, got := h.ask(h.token("carol"), wire.Access{Action: "select", Resource: "public.orders"}); got.code != http.StatusOK {
		t.Errorf("another caller: %d %s", got.code, got.body)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outcomes["TooMany"] != 1 || h.outcomes["Allow"] < 30 {
		t.Errorf("outcomes: %v", h.outcomes)
	}
}
