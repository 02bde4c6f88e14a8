// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package devicelogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/portaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func logins(t *testing.T) *Logins {
	t.Helper()
	l := New()
	t.Cleanup(l.Close)
	return l
}

func asking(at snapshot.LoginPortal, client string) access.DeviceAsking {
	return access.DeviceAsking{Portal: at, Connection: snapshot.Connection{Namespace: "shop", Name: "web"}, Client: client}
}

// TestLogin: what the portal is told, what the caller is shown, and a credential that holds what
// it is bound to, and shows neither.
func TestLogin(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	d, err := l.Begin(bounded(t), asking(p.At(), "::ffff:192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	asked := p.Asked()[0]
	if asked.Get("client_id") != gateway.ProxyClient || asked.Get("connection") != "shop/web" || asked.Get("client_address") != "192.0.2.7" {
		t.Errorf("the portal was asked %v", asked)
	}
	if d.Link() != p.At().URL+"/device?user_code=CODE-0001" || d.UserCode() != "CODE-0001" || time.Until(d.ExpiresAt()) > 10*time.Minute {
		t.Errorf("shown: %s %s %s", d.Link(), d.UserCode(), d.ExpiresAt())
	}
	go func() {
		<-p.Polled() // not before it was asked in vain
		p.Approve("CODE-0001", "canary-token")
	}()
	credential, err := d.Wait(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if credential.Token() != "canary-token" || gateway.Challenge(credential.Secret()) != asked.Get("code_challenge") {
		t.Error("the credential is not what the portal gave, or bound to something else")
	}
	if text := fmt.Sprintf("%v %+v %#v", credential, credential, struct{ c any }{credential}); strings.Contains(text, "canary") || strings.Contains(text, credential.Secret()) {
		t.Errorf("checklist 49: it prints: %s", text)
	}
	d.Close()
	d.Close()
	if got := p.GivenBack(); len(got) != 1 || got[0] != "canary-token" {
		t.Errorf("given back: %q", got)
	}
}

// TestRefusals: how a login ends that comes to nothing.
func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		do     func(p *portaltest.Portal)
		want   error
	}{
		"Denied":  {"the person says no", func(p *portaltest.Portal) { p.Deny("CODE-0001") }, access.ErrLoginDenied},
		"NoToken": {"a token that no proxy takes", func(p *portaltest.Portal) { p.Approve("CODE-0001", strings.Repeat("x", 1<<20)) }, nil},
		"Expired": {"the portal's word", func(p *portaltest.Portal) { p.Before(says(`{"error":"expired_token"}`)) }, access.ErrLoginExpired},
		"Other": {"in the portal's words", func(p *portaltest.Portal) {
			p.Before(says(`{"error":"invalid_grant","error_description":"nobody vouches"}`))
		}, access.ErrLoginDenied},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := portaltest.Start(t), logins(t)
			d, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7"))
			if err != nil {
				t.Fatal(err)
			}
			tc.do(p)
			credential, err := d.Wait(bounded(t))
			d.Close()
			if back := p.GivenBack(); len(back) > 0 {
				t.Errorf("given back, and there was nothing: %q", back)
			}
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || credential.Token() != "" {
				t.Errorf("%s: %v, want %v", tc.reason, err, tc.want)
			}
			if name == "Other" && !strings.Contains(err.Error(), "nobody vouches") {
				t.Errorf("the portal's words are lost: %v", err)
			}
		})
	}
}

// says answers every request so.
func says(body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// TestSlowDown: who is told to ask less often does.
func TestSlowDown(t *testing.T) {
	d := &login{interval: time.Second}
	for _, want := range []time.Duration{6 * time.Second, 11 * time.Second} {
		if _, done, err := d.read(&answer{Error: "slow_down"}); done || err != nil || d.interval != want {
			t.Errorf("%v %v, every %s, want %s", done, err, d.interval, want)
		}
	}
}

// TestPortalAtItsLimit: the portal's limit is of an address that other proxies may share. Who
// comes is not given a link then, and may come again; who waits goes on to wait.
func TestPortalAtItsLimit(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	d, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	p.Before(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "Too many requests: wait a little.", http.StatusTooManyRequests)
		return true
	})
	if _, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); !errors.Is(err, access.ErrLoginPace) {
		t.Errorf("a link: %v", err)
	}
	if a, err := d.(*login).portal.post(bounded(t), "/token", nil); err != nil || a.Error != slowDown {
		t.Errorf("who waits hears %+v, %v", a, err)
	}
	p.Before(nil)
	if _, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestClientLeaves: the waiting ends at once, and nobody is asked any more.
func TestClientLeaves(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	p.Answer(func(values map[string]any) { values["interval"] = 60 })
	d, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(bounded(t))
	go func() {
		<-p.Polled()
		leave()
	}()
	if _, err := d.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := p.Polls(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestPortalDown: one answer that does not come is none; some in a row are the end.
func TestPortalDown(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	d, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	down := func(n int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			n--
			if n < 0 {
				return false
			}
			http.Error(w, "canary-inside", http.StatusServiceUnavailable)
			return true
		}
	}
	p.Approve("CODE-0001", "token")
	p.Before(down(maxSilence - 1))
	if _, err := d.Wait(bounded(t)); err != nil {
		t.Errorf("after %d failures: %v", maxSilence-1, err)
	}
	p.Before(down(1000))
	if _, err = d.Wait(bounded(t)); err == nil || errors.Is(err, access.ErrLoginDenied) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), d.(*login).secret) {
		t.Errorf("got %v", err)
	}
	if _, err = l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); err == nil {
		t.Error("a link of a portal that does not answer")
	}
	asked := len(p.Asked())
	p.Before(nil)
	if _, err = l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); err == nil || len(p.Asked()) != asked {
		t.Errorf("it is asked again at once: %v", err)
	}
	l.until = time.Now() // the time is over
	if _, err = l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); err != nil {
		t.Errorf("later: %v", err)
	}
}

// TestPortalsThatMisbehave: nobody is shown what is not the portal's own link, and what is
// asked of it goes to nobody else (checklist 25, 37).
func TestPortalsThatMisbehave(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another host": func(v map[string]any) { v["verification_uri_complete"] = "https://evil.example/device" },
		"no TLS":       func(v map[string]any) { v["verification_uri_complete"] = "http://127.0.0.1/device" },
		"host that goes on": func(v map[string]any) {
			v["verification_uri_complete"] = strings.TrimSuffix(v["verification_uri"].(string), "/device") + ".evil.example/"
		},
		"draws":           func(v map[string]any) { v["verification_uri_complete"] = v["verification_uri"].(string) + "\x1b[2J" },
		"code that draws": func(v map[string]any) { v["user_code"] = "CODE\u202e1" },
		"no code":         func(v map[string]any) { v["device_code"] = "" },
		"never ends":      func(v map[string]any) { v["expires_in"] = 1 << 40 },
		"over":            func(v map[string]any) { v["expires_in"] = 0 },
		"seldom":          func(v map[string]any) { v["interval"] = 3600 },
		"backwards":       func(v map[string]any) { v["interval"] = -1 },
		"large":           func(v map[string]any) { v["more"] = strings.Repeat("x", maxAnswer) },
	} {
		t.Run(name, func(t *testing.T) {
			p, l := portaltest.Start(t), logins(t)
			p.Answer(change)
			if d, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); err == nil {
				t.Errorf("taken: %s", d.Link())
			}
		})
	}
	t.Run("redirect", func(t *testing.T) {
		p, other, l := portaltest.Start(t), portaltest.Start(t), logins(t)
		p.Before(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.At().URL+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		})
		if _, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7")); err == nil || len(other.Asked()) > 0 {
			t.Errorf("followed: %v", err)
		}
	})
	t.Run("another authority", func(t *testing.T) {
		p, l := portaltest.Start(t), logins(t)
		at := p.At()
		at.CA = ""
		if _, err := l.Begin(bounded(t), asking(at, "192.0.2.7")); err == nil {
			t.Error("a certificate that nobody vouches for is taken")
		}
	})
	t.Run("metadata", func(t *testing.T) {
		if _, err := logins(t).Begin(bounded(t), asking(snapshot.LoginPortal{URL: "https://169.254.169.254"}, "192.0.2.7")); !strings.Contains(fmt.Sprint(err), "forbidden address") {
			t.Errorf("got %v", err)
		}
	})
}

// TestPace (checklist 4): one host begins few, and keeps no other from it; and few are waited
// for at a time.
func TestPace(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	begun := 0
	for range hostBurst + 5 {
		switch _, err := l.Begin(bounded(t), asking(p.At(), "2001:db8::7")); {
		case err == nil:
			begun++
		case !errors.Is(err, access.ErrLoginPace):
			t.Fatal(err)
		}
	}
	if begun < hostBurst || begun > hostBurst+2 {
		t.Errorf("one host has begun %d, want %d", begun, hostBurst)
	}
	d, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.8"))
	if err != nil {
		t.Errorf("another host: %v", err)
	}
	for range maxWaiting {
		l.waiting.enter("192.0.2.0/24", func() { t.Error("who waited must go for another of the same network") })
	}
	if _, err := d.Wait(bounded(t)); !errors.Is(err, access.ErrLoginPace) {
		t.Errorf("one more than may wait: %v", err)
	}
	if p.Polls() > 0 {
		t.Error("the portal was asked")
	}
	if _, err := l.Begin(bounded(t), asking(p.At(), "@")); err == nil {
		t.Error("a client without an address")
	}
}

// TestPaceOfManyPeople: who logs in leaves room for others behind the same address.
func TestPaceOfManyPeople(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	for range hostBurst + 3 {
		one, err := l.Begin(bounded(t), asking(p.At(), "192.0.2.7"))
		if err != nil {
			t.Fatalf("after logins that came to something: %v", err)
		}
		p.Approve(one.UserCode(), "token")
		if _, err := one.Wait(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
}
