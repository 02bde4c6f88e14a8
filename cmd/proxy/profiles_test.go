// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"net/http"
	"testing"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/cmd/profiles"
	"github.com/doorward/doorward/proxy/server"
)

// Checklist 51: no pprof on a public port. What counts as one, package profiles tests.
func TestPprofAddress(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
	cases := map[string]struct {
		reason  string
		address string
		valid   bool
	}{
		"Off":        {reason: "Off unless asked for.", address: "", valid: true},
		"IPv4":       {reason: "Loopback.", address: "127.0.0.1:6060", valid: true},
		"Everywhere": {reason: "No host means all addresses.", address: ":6060"},
		"Public":     {reason: "Not this machine's own.", address: "192.0.2.1:6060"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]string{
				"--connection=shop/db", "--listen=shop/db=127.0.0.1:0", "--spool=/spool", "--instance=db-1",
				"--snapshot-key=" + key, "--pprof-address=" + tc.address,
			}, io.Discard)
			if (err == nil) != tc.valid {
				t.Errorf("\n%s\nparse(%q): got %v, want valid %t", tc.reason, tc.address, err, tc.valid)
			}
		})
	}
}

// Checklist 51: what else serves on the machine shows no profile.
func TestPprofIsNowhereElse(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent()) // the control plane that the tests share stays
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 2)
	health, err := server.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- server.ServeHealth(ctx, health, server.Health(server.NewMetrics(), logr.Discard())) }()
	private, err := profiles.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- profiles.Serve(ctx, private) }()
	for address, want := range map[string]int{health.Addr().String(): http.StatusNotFound, private.Addr().String(): http.StatusOK} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/debug/pprof/goroutine?debug=1", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("profile at %s: got status %d, want %d", address, response.StatusCode, want)
		}
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
