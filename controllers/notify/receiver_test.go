// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// canary stands for what nobody is to see.
const canary = "canary-3c91f0"

// inTheClear is a spec for a receiver without TLS.
func inTheClear(address string) *v1alpha1.NotifierSpec {
	return &v1alpha1.NotifierSpec{URL: address, TLS: &v1alpha1.SinkTLS{Mode: v1alpha1.TLSDisabled}}
}

// signature is a secret that a URL has in another form than its receiver sees it.
const signature = "q8Zk+0R+0/P0LzX9Vw=="

// TestAnswers: which answers are tried again, and that none shows what was sent to it.
func TestAnswers(t *testing.T) {
	cases := map[string]struct {
		reason  string
		status  int
		header  http.Header
		forGood bool
		after   time.Duration
		want    string
	}{
		"OK":          {"taken", 200, nil, false, 0, ""},
		"Accepted":    {"a workflow of Teams answers 202", 202, nil, false, 0, ""},
		"Redirect":    {"checklist 25: nothing is sent elsewhere", 302, http.Header{"Location": {"http://169.254.169.254/"}}, false, 0, "redirects are not followed"},
		"BadRequest":  {"the same is refused again", 400, nil, true, 0, "correct the template"},
		"TooLarge":    {"the same is refused again", 413, nil, true, 0, "correct the template"},
		"Forbidden":   {"all are refused until somebody mends it", 403, nil, false, 0, "correct the URL or the headers"},
		"Gone":        {"all are refused until somebody mends it", 410, nil, false, 0, "correct the URL"},
		"TooMany":     {"later", 429, http.Header{"Retry-After": {"30"}}, false, 30 * time.Second, "429"},
		"Unavailable": {"later", 503, nil, false, 0, "503"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for name, values := range c.header {
					w.Header()[name] = values
				}
				w.WriteHeader(c.status)
				fmt.Fprintf(w, "you sent %s, signed %s and %s, and %s\x1b[2J", r.URL.Path, r.URL.RawQuery, r.URL.Query().Get("sig"), r.Header.Get("Authorization"))
			}))
			defer server.Close()
			r, err := newReceiver(inTheClear(""), map[string][]byte{
				keyURL: []byte(server.URL + "/" + canary + "/a?sig=" + url.QueryEscape(signature) + "\n"), keyHeaders: []byte("Authorization: Bearer " + canary + "\n"),
			}, true)
			if err != nil {
				t.Fatal(err)
			}
			err = r.send(t.Context(), "id", time.Now(), []byte("{}"))
			var refused *refusal
			if errors.As(err, &refused) != (c.want != "") {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if err == nil {
				return
			}
			if refused.forGood != c.forGood || refused.after != c.after || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %+v", c.reason, refused)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "0R+0/P0") || strings.Contains(err.Error(), url.QueryEscape("0R+0/P0")) || strings.Contains(err.Error(), "\x1b") || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("checklist 47: the error shows what is not for it: %v", err)
			}
		})
	}
}

// TestPlacesThatNothingIsSentTo is checklist 25: what a name leads to is judged when it is
// connected to.
func TestPlacesThatNothingIsSentTo(t *testing.T) {
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "0.0.0.0", "100.100.100.200", "[fd00:ec2::254]"} {
		r, err := newReceiver(inTheClear("http://"+host+":"+port+"/"), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.send(t.Context(), "id", time.Now(), nil); err == nil || !strings.Contains(err.Error(), "forbidden address") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if reached.Load() > 0 {
		t.Error("something was sent")
	}
}

func TestReceiverSettings(t *testing.T) {
	cases := map[string]struct {
		reason       string
		spec         *v1alpha1.NotifierSpec
		url, headers string
		want         string
	}{
		"Spec":        {"a URL that is no secret", &v1alpha1.NotifierSpec{URL: "https://a.example/x"}, "", "", ""},
		"Secret":      {"one that is", &v1alpha1.NotifierSpec{}, "https://a.example/" + canary + "\n", "", ""},
		"Clear":       {"clear text is asked for in words", &v1alpha1.NotifierSpec{}, "http://a.example/" + canary, "", "must begin with https://"},
		"NotClear":    {"which is meant is not guessed", inTheClear(""), "https://a.example/" + canary, "", "must begin with https://"},
		"User":        {"credentials belong into headers", &v1alpha1.NotifierSpec{}, "https://u:" + canary + "@a.example/", "", "without user"},
		"NoURL":       {"checklist 47: what cannot be read is not shown", &v1alpha1.NotifierSpec{}, "://" + canary, "", "not an http or https URL"},
		"Two":         {"several headers", &v1alpha1.NotifierSpec{URL: "https://a.example/"}, "", "Authorization: Bearer " + canary + "\n\nX-A: b\n", ""},
		"NoHeader":    {"a line that is none", &v1alpha1.NotifierSpec{URL: "https://a.example/"}, "", canary, "line 1"},
		"Framing":     {"checklist 24: framing is net/http's", &v1alpha1.NotifierSpec{URL: "https://a.example/"}, "", "transfer-encoding: " + canary, "cannot be set"},
		"Own":         {"the id is ours", &v1alpha1.NotifierSpec{URL: "https://a.example/"}, "", "webhook-id: " + canary, "cannot be set"},
		"HeaderTwice": {"which is meant is not guessed", &v1alpha1.NotifierSpec{URL: "https://a.example/"}, "", "X-A: b\nx-a: " + canary, "twice"},
		"Control":     {"checklist 24: a value must not begin another header", &v1alpha1.NotifierSpec{URL: "https://a.example/"}, "", "X-A: " + canary + "\rX-B: 1", "line 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := newReceiver(c.spec, map[string][]byte{keyURL: []byte(c.url), keyHeaders: []byte(c.headers)}, false)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary)) {
				t.Errorf("%s: %v, want an error that says %q", c.reason, err, c.want)
			}
			if text := fmt.Sprintf("%v %+v %#v %s", r, r, r, r); err == nil && strings.Contains(text, canary) {
				t.Errorf("checklist 47: it prints %s", text)
			}
		})
	}
}

// TestPauses: longer each time, up to a bound, and as the receiver asks.
func TestPauses(t *testing.T) {
	m, now := &memory{}, time.Unix(0, 0)
	for n := range 40 {
		m.failed(now, 0)
		want := min(firstPause<<min(n, 30), longestPause)
		if got := m.until.Sub(now); got < want*3/4 || got > min(want*5/4, longestPause) {
			t.Errorf("pause %d is %s, want about %s", n, got, want)
		}
	}
	one := &receiver{url: "https://a.example/"}
	m.uses(one, 1)
	if !m.until.IsZero() || m.failures != 0 {
		t.Error("failures of other settings count")
	}
	m.failed(now, 0)
	m.uses(one, 1)
	if m.until.IsZero() {
		t.Error("failures of the same settings are forgotten")
	}
	m.uses(&receiver{url: one.url, headers: http.Header{"A": {"b"}}}, 1)
	if !m.until.IsZero() {
		t.Error("who corrected the headers has to wait")
	}
	m = &memory{}
	m.failed(now, time.Minute)
	if m.until.Sub(now) != time.Minute {
		t.Errorf("the receiver asked for a minute and got %s", m.until.Sub(now))
	}
	m.failed(now, 24*time.Hour)
	if m.until.Sub(now) != longestPause {
		t.Errorf("a receiver is left alone for %s", m.until.Sub(now))
	}
}
