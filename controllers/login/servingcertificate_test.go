// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/test/testcert"
)

// closedCA is an authority that cannot be asked.
type closedCA struct {
	CertificateAuthority
	asked  int
	answer func(ctx context.Context) error
}

func (c *closedCA) State(ctx context.Context) (ca.State, error) {
	c.asked++
	return ca.State{}, c.answer(ctx)
}

// TestServingWithoutCertificate (checklist 38): why nobody is served is in the log, which
// whoever comes cannot fill; nor can they have the API server asked without end.
func TestServingWithoutCertificate(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	now := time.Unix(1800000000, 0)
	authority := &closedCA{answer: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
			t.Errorf("one look is bounded, and not the caller's own: %v, bounded %t", ctx.Err(), bounded)
		}
		return errors.New("no authority yet")
	}}
	v, err := newServing(Settings{}, &url.URL{Host: "login.example.org"}, authority, func() time.Time { return now }, log)
	if err != nil {
		t.Fatal(err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	for range 20 {
		if got, err := v.show(left); got != nil || err == nil || !strings.Contains(err.Error(), "no authority yet") {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	if authority.asked != 1 || len(lines) != 1 || !strings.Contains(lines[0], "no authority yet") {
		t.Errorf("asked %d times, and the log says %q", authority.asked, lines)
	}
	now = now.Add(certificateRetry)
	_, _ = v.show(t.Context())
	if authority.asked != 2 || len(lines) != 2 {
		t.Errorf("some seconds later: asked %d times, and the log says %q", authority.asked, lines)
	}
}

// TestServingRenewal: files that go bad are told of once a minute, while the certificate that
// there was is shown on.
func TestServingRenewal(t *testing.T) {
	authority, err := testcert.NewCA("portal")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string) (certificate, key string) {
		pair, err := authority.Issue(testcert.Request{CommonName: name})
		if err != nil {
			t.Fatal(err)
		}
		certificate, key, err = pair.Write(t.TempDir(), "portal")
		if err != nil {
			t.Fatal(err)
		}
		return certificate, key
	}
	certificate, key := issue("first")
	otherCertificate, otherKey := issue("second")
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	now := time.Unix(1800000000, 0)
	v, err := newServing(Settings{CertificateFile: certificate, KeyFile: key}, &url.URL{Host: "login.example.org"}, nil, func() time.Time { return now }, log)
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want string) {
		t.Helper()
		got, err := v.show(t.Context())
		if err != nil || got.Leaf.Subject.CommonName != want {
			t.Fatalf("shows %v, %v; want that of %q", got, err, want)
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	shows("first")
	move(otherKey, key) // half of what is written anew
	shows("first")
	if len(lines) > 0 {
		t.Errorf("looked at again at once: %q", lines)
	}
	now = now.Add(certificateFresh)
	shows("first")
	shows("first")
	if len(lines) != 1 || !strings.Contains(lines[0], "shows the one it has") {
		t.Errorf("the log says %q", lines)
	}
	move(otherCertificate, certificate)
	now = now.Add(certificateFresh)
	shows("second")
	if len(lines) != 1 {
		t.Errorf("the log says %q", lines)
	}
}
