// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"context"
	"io"
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// Checklist 51: no pprof on a public port.
func TestAddress(t *testing.T) {
	cases := map[string]struct {
		reason  string
		address string
		valid   bool
	}{
		"Off":        {reason: "Off unless asked for.", address: "", valid: true},
		"IPv4":       {reason: "Loopback.", address: "127.0.0.1:6060", valid: true},
		"IPv6":       {reason: "Loopback.", address: "[::1]:0", valid: true},
		"Everywhere": {reason: "No host means all addresses.", address: ":6060"},
		"Any":        {reason: "All addresses.", address: "0.0.0.0:6060"},
		"AnyIPv6":    {reason: "All addresses.", address: "[::]:6060"},
		"Public":     {reason: "Not this machine's own.", address: "192.0.2.1:6060"},
		"Name":       {reason: "A name may resolve to anything.", address: "localhost:6060"},
		"NoPort":     {reason: "Nothing to listen on.", address: "127.0.0.1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := Check(tc.address); (err == nil) != tc.valid {
				t.Errorf("\n%s\nCheck(%q): got %v, want valid %t", tc.reason, tc.address, err, tc.valid)
			}
			if tc.valid {
				return
			}
			if listener, err := Listen(t.Context(), tc.address); err == nil {
				_ = listener.Close()
				t.Errorf("\n%s\nListen(%q) listens", tc.reason, tc.address)
			}
		})
	}
}

func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listener, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/debug/pprof/heap?debug=1", http.NoBody)
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
	if response.StatusCode != http.StatusOK {
		t.Errorf("the heap's profile: got status %d", response.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
