// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/proxy/record/sink/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	path := buildReceiver(t)
	for name, tc := range map[string]struct {
		limit  int64
		change func(*webhook.Options)
	}{
		"Plain": {limit: 16 << 20},
		"Gzip":  {limit: 16 << 20, change: func(o *webhook.Options) { o.Compression = sink.Gzip }},
		// Every batch of some size is too large: the receiver hangs up on it or
		// answers 413.
		"SmallRequests": {limit: 12 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Destination {
				t.Helper()
				d := startReceiver(t, path, tc.limit).destination(tc.change)
				if name == "SmallRequests" {
					d.New = patient(d.New)
				}
				return d
			})
		})
	}
}

// TestOutage kills the receiver under load.
func TestOutage(t *testing.T) {
	sinktest.Outage(t, startReceiver(t, buildReceiver(t), 16<<20).destination(func(o *webhook.Options) { o.Compression = sink.Gzip }))
}

// TestRotation: a receiver that has either of two secrets takes what is signed
// with both, so that neither side has to change at the same moment.
func TestRotation(t *testing.T) {
	r := startReceiver(t, buildReceiver(t), 1<<20)
	before, after := r.secrets[0], newSecret()
	options := r.options()
	options.Secrets = [][]byte{[]byte(after + "\n"), []byte(strings.TrimPrefix(before, "whsec_"))}
	both := open(t, options)
	if err := both.Write(t.Context(), sinktest.Records(0, 2)); err != nil {
		t.Errorf("the receiver has the former secret: %v", err)
	}
	r.kill(t)
	r.secrets = []string{after}
	r.start(t)
	if err := both.Write(t.Context(), sinktest.Records(2, 4)); err != nil {
		t.Errorf("the receiver has the next secret: %v", err)
	}
	options.Secrets = [][]byte{[]byte(before)}
	if err := open(t, options).Write(t.Context(), sinktest.Records(4, 6)); err == nil || !strings.Contains(err.Error(), "signing secret") {
		t.Errorf("Write with a secret that the receiver does not have: %v, want an error that says so", err)
	}
	if n := len(r.received(t)); n != 4 {
		t.Errorf("%d records received, want 4", n)
	}
}

// TestUnknownServer: a receiver that nobody vouches for gets no record.
func TestUnknownServer(t *testing.T) {
	r := startReceiver(t, buildReceiver(t), 1<<20)
	for name, tls := range map[string]sink.TLS{"SystemRoots": {}, "OtherName": {CA: r.ca, ServerName: "logs.example.com"}} {
		options := r.options()
		options.TLS = tls
		if err := open(t, options).Write(t.Context(), sinktest.Records(0, 1)); err == nil || !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: Write: %v, want an error about the certificate", name, err)
		}
	}
}

// TestDocumentedVerification: the documentation shows the function that the
// receiver of these tests verifies with.
func TestDocumentedVerification(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/sinks/webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../../../../test/sinks/webhookreceiver/verify.go")
	if err != nil {
		t.Fatal(err)
	}
	_, function, found := strings.Cut(string(source), "// verify says")
	if !found {
		t.Fatal("the receiver has no function verify")
	}
	_, rest, _ := strings.Cut(string(page), "```go\n")
	shown, _, _ := strings.Cut(rest, "```")
	if diff := cmp.Diff("// verify says"+function, shown); diff != "" {
		t.Errorf("docs/sinks/webhook.md shows another function: -want, +got:\n%s", diff)
	}
}
