// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

// loggedIn has a folder of its own with a login at a new issuer, by a device.
func loggedIn(t *testing.T, lifetime time.Duration) *world {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	w := start(t)
	w.client.Claims["exp"] = time.Now().Add(lifetime).Unix()
	w.Allow(w.client)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.CertificateAuthorityPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.Go(func() error { return w.Decide(t.Context(), true) })
	group.Go(func() error {
		_, err := call(t, "--issuer", w.URL(), "--client-id", "doorward", "--ca-file", ca, "--device")
		return err
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return w
}

func call(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := login.NewLogin(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	return out.String(), cmd.ExecuteContext(t.Context())
}

// A refresh token may be good once: of many commands at a time, one uses it.
func TestTokenIsRenewedOnce(t *testing.T) {
	w := loggedIn(t, 30*time.Second)
	w.client.Claims["exp"] = time.Now().Add(time.Hour).Unix()
	w.Allow(w.client)
	before := w.Requests(oidctest.TokenPath)
	var group errgroup.Group
	tokens := make([]string, 16)
	for n := range tokens {
		group.Go(func() (err error) {
			tokens[n], err = login.Token(t.Context(), login.Selection{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if token == "" || token != tokens[0] {
			t.Errorf("two tokens: %q, %q", token, tokens[0])
		}
	}
	if asked := w.Requests(oidctest.TokenPath) - before; asked != 1 {
		t.Errorf("the issuer was asked %d times, want once", asked)
	}
}

func TestOthersMayNotRead(t *testing.T) {
	loggedIn(t, time.Hour)
	dir := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "doorward", "logins")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, path := range []string{files[0], dir} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, info.Mode().Perm()|0o040); err != nil {
			t.Fatal(err)
		}
		if _, err := login.Token(t.Context(), login.Selection{}); err == nil || !strings.Contains(err.Error(), "run `chmod 0") {
			t.Errorf("%s: want what to do about it, got %v", path, err)
		}
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// What an issuer, or what has taken its place, answers is bounded.
func TestIssuersThatMisbehave(t *testing.T) {
	cases := map[string]struct {
		reason string
		serve  http.HandlerFunc
		want   string
	}{
		"Endless": {
			reason: "a document without an end is given up",
			serve: func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			},
			want: "the issuer's answer is too long",
		},
		"Elsewhere": {
			reason: "tokens are for whom they are meant",
			serve: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://other.example.com/", http.StatusFound)
			},
			want: "the issuer sends us elsewhere",
		},
		"Drawing": {
			reason: "checklist 48: what it says draws nothing on the terminal",
			serve: func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "\x1b[2J", http.StatusTeapot)
			},
			want: `\u{1b}[2J`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CONFIG_HOME", t.TempDir())
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			_, err := call(t, "--issuer", server.URL, "--client-id", "doorward")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: want %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

// An issuer that gives a new refresh token takes the former one no more: it is kept even
// where the rest of the answer is of no use, or the login would be lost.
func TestRotatedRefreshTokenIsKept(t *testing.T) {
	w := loggedIn(t, 30*time.Second)
	subject := w.client.Claims["sub"]
	w.client.Claims["exp"] = time.Now().Add(time.Hour).Unix()
	w.client.Claims["sub"] = "somebody-else"
	w.Allow(w.client)
	if _, err := login.Token(t.Context(), login.Selection{}); err == nil || !strings.Contains(err.Error(), "of somebody else") {
		t.Fatalf("a token of somebody else was taken: %v", err)
	}
	w.client.Claims["sub"] = subject
	w.Allow(w.client)
	if token, err := login.Token(t.Context(), login.Selection{}); err != nil || token == "" {
		t.Errorf("the login is lost: %v", err)
	}
}

// A token that no proxy would take is refused when it is got, and not at the first connect.
func TestTokenThatNoProxyTakes(t *testing.T) {
	w := loggedIn(t, 30*time.Second)
	w.client.Claims["exp"] = time.Now().Add(time.Hour).Unix()
	w.client.Claims["groups"] = strings.Repeat("g", identity.MaxTokenBytes)
	w.Allow(w.client)
	if _, err := login.Token(t.Context(), login.Selection{}); err == nil || !strings.Contains(err.Error(), "a proxy takes 16384: ask for fewer scopes") {
		t.Errorf("want what a proxy takes, and what to do, got %v", err)
	}
}

// until ends a command once it has said something.
type until struct {
	bytes.Buffer
	text string
	end  context.CancelFunc
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if strings.Contains(u.String(), u.text) {
		u.end()
	}
	return n, err
}

// checklist 48: where an issuer sends browsers draws nothing on the terminal.
func TestBrowserAddressDrawsNothing(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer": %q, "authorization_endpoint": "%s/a\u202e\u009b2J", "token_endpoint": "%s/t", "jwks_uri": "%s/k"}`,
			server.URL, server.URL, server.URL, server.URL)
	})
	server.Start()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := &until{text: "client_id=", end: cancel}
	cmd := login.NewLogin(genericiooptions.IOStreams{In: strings.NewReader(""), Out: said, ErrOut: said})
	cmd.SetArgs([]string{"--issuer", server.URL, "--client-id", "doorward", "--no-browser"})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(ctx)
	if err == nil || strings.ContainsAny(said.String(), "\u202e\u009b") || !strings.Contains(said.String(), `/a\u{202e}\u{9b}2J`) {
		t.Errorf("it said %q: %v", said.String(), err)
	}
}
