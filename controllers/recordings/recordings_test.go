// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryReplica: it is no matter of who leads.
func TestEveryReplica(t *testing.T) {
	var server manager.LeaderElectionRunnable = &Server{}
	if server.NeedLeaderElection() {
		t.Error("only the leader serves")
	}
}

// TestSubject: the command that an admin is told can be pasted, whatever the name.
func TestSubject(t *testing.T) {
	for user, want := range map[string]string{
		"dora@example.com":                 "--user='dora@example.com'",
		"$(reboot)":                        "--user='$(reboot)'",
		"it's me":                          "--user=USER",
		"a\x1b[2Kb":                        "--user=USER",
		"a\u202eb":                         "--user=USER",
		"system:serviceaccount:ci:auditor": "--serviceaccount=ci:auditor",
		"system:serviceaccount:ci:x;rm -r": "--user='system:serviceaccount:ci:x;rm -r'",
	} {
		if got := subject(user); got != want {
			t.Errorf("%q: %s, want %s", user, got, want)
		}
	}
}

// TestBindingName: two auditors of a namespace have two bindings.
func TestBindingName(t *testing.T) {
	one, other := bindingName("dora@example.com"), bindingName("it's me")
	if one == other || bindingName("dora@example.com") != one || len(validation.IsDNS1123Subdomain(one)) > 0 {
		t.Errorf("%s, %s", one, other)
	}
}

// TestAddresses: checklist 25: a report leads the manager to no service of its surroundings.
func TestAddresses(t *testing.T) {
	cases := map[string]struct {
		address  string
		loopback bool
		ok       bool
	}{
		"Pod":           {"10.1.2.3:8447", false, true},
		"Loopback":      {"127.0.0.1:8447", false, false},
		"OneMachine":    {"127.0.0.1:8447", true, true},
		"Metadata":      {"169.254.169.254:80", true, false},
		"MappedAddress": {"[::ffff:169.254.169.254]:80", true, false},
		"Name":          {"metadata.google.internal:80", true, false},
		"NoPort":        {"10.1.2.3", true, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := (&Proxies{Loopback: tc.loopback}).permitted(tc.address); (err == nil) != tc.ok {
				t.Errorf("%q: %v", tc.address, err)
			}
		})
	}
}

// TestOnlyTheProxy: checklist 53: nothing is said to a server without the Connection's
// own certificate, and no redirect is followed.
func TestOnlyTheProxy(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	proxies := &Proxies{Key: key, Loopback: true}
	at := &place{address: server.Listener.Addr().String(), certificate: &x509.Certificate{Raw: []byte("another")}}
	if answer, err := proxies.post(t.Context(), at, &wire.Request{}); !errors.Is(err, errCertificate) {
		t.Errorf("another's certificate: %v, %v", answer, err)
	}
	if asked.Load() != 0 {
		t.Error("another server was asked")
	}
	at.certificate = server.Certificate()
	answer, err := proxies.post(t.Context(), at, &wire.Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusTemporaryRedirect || asked.Load() != 1 {
		t.Errorf("a redirect was followed: %d, asked %d times", answer.StatusCode, asked.Load())
	}
	large := &wire.Request{Reason: strings.Repeat("x", wire.MaxRequest)}
	if _, err := proxies.post(context.Background(), at, large); err == nil || asked.Load() != 1 {
		t.Errorf("a reader with too much: %v", err)
	}
}

// TestCertificate: readers know the manager by the Service's name, of its own authority;
// an authority that may not sign that name is said at the start.
func TestCertificate(t *testing.T) {
	constraints, err := ca.NewConstraints(ca.DefaultDNSDomains, ca.DefaultIPRanges)
	if err != nil {
		t.Fatal(err)
	}
	store := ca.NewStore(fake.NewClientBuilder().Build(), "doorward-system", constraints, nil)
	c, err := NewCertificate(store, "doorward-system", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state, err := store.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(state.Bundle())
	leaf, err := x509.ParseCertificate(first.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "doorward-manager-recordings.doorward-system.svc"}); err != nil {
		t.Error(err)
	}
	if again, err := c.Get(t.Context()); err != nil || again != first {
		t.Errorf("another certificate each time: %v", err)
	}
	if leaf.VerifyHostname("localhost") == nil {
		t.Error("it is good for localhost, which is anybody's")
	}
	elsewhere, err := ca.NewConstraints([]string{"example.org"}, ca.DefaultIPRanges)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewCertificate(ca.NewStore(fake.NewClientBuilder().Build(), "doorward-system", elsewhere, nil), "doorward-system", logr.Discard()); err == nil {
		t.Error("a name that the authority may not sign passes")
	}
}
