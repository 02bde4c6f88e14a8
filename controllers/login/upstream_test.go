// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/egress"
)

// TestUpstreamDials (checklist 25): what leads to a machine's surroundings is refused when it
// is dialled.
func TestUpstreamDials(t *testing.T) {
	asking, err := newUpstreamClient("")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := asking.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestSecretIsForItsIssuer: whoever writes an IdentityProvider has no other's client secret
// sent to a token endpoint of theirs.
func TestSecretIsForItsIssuer(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		data   map[string][]byte
		ok     bool
	}{
		"Its":     {"the issuer it names", map[string][]byte{"clientSecret": []byte("s"), "issuer": []byte("https://id.example")}, true},
		"Other":   {"another issuer", map[string][]byte{"clientSecret": []byte("s"), "issuer": []byte("https://other.example")}, false},
		"Slash":   {"to the letter", map[string][]byte{"clientSecret": []byte("s"), "issuer": []byte("https://id.example/")}, false},
		"Nobody":  {"it names none", map[string][]byte{"clientSecret": []byte("s")}, false},
		"NoValue": {"it has no secret", map[string][]byte{"issuer": []byte("https://id.example")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			held := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "operator", Name: "portal"}, Type: v1alpha1.SecretTypeLogin, Data: tc.data}
			u := newUpstreams(func(string) string { return "https://login.example/callback" }, fake.NewClientBuilder().WithObjects(held).Build(), "operator")
			object := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Name: "corp"}}
			object.Spec.OIDC = &v1alpha1.OIDCProvider{Issuer: v1alpha1.OIDCIssuer{URL: "https://id.example"}}
			object.Spec.Login = &v1alpha1.LoginSettings{ClientID: "portal", ClientSecretRef: v1alpha1.LoginSecretReference{Name: "portal"}}
			config, err := u.config(t.Context(), object, &upstream{}, true)
			if (err == nil) != tc.ok || err == nil && config.ClientSecret != "s" {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if f := new(fault); errors.As(err, &f) && strings.Contains(f.text, "issuer") {
				t.Errorf("callers are told: %s", f.text)
			}
		})
	}
}

// remote is a connection from an address.
type remote struct {
	net.Conn
	from   string
	closed bool
}

func (r *remote) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(r.from))
}
func (r *remote) Close() error { r.closed = true; return nil }

// coming are connections that come one after the other.
type coming struct {
	net.Listener
	queue []*remote
}

func (c *coming) Accept() (net.Conn, error) {
	if len(c.queue) == 0 {
		return nil, net.ErrClosed
	}
	next := c.queue[0]
	c.queue = c.queue[1:]
	return next, nil
}

// TestConnectionsOfOneHost (checklist 38): one host has so many connections, and keeps nobody
// else out; a trusted proxy, through which many come, has more.
func TestConnectionsOfOneHost(t *testing.T) {
	trusted := netip.MustParseAddr("192.0.2.9")
	from := &coming{}
	l := newBoundedListener(from, func(a netip.Addr) bool { return a == trusted })
	add := func(address string) *remote {
		r := &remote{from: address}
		from.queue = append(from.queue, r)
		return r
	}
	var open []net.Conn
	accept := func() {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	for range maxOfHost {
		add("[2001:db8::1]:1")
		accept()
	}
	excess := add("[2001:db8::2]:1") // of the same network, which one host has
	other := add("192.0.2.1:1")
	accept()
	if !excess.closed || other.closed {
		t.Errorf("one more of the host is closed: %t, another is not: %t", excess.closed, !other.closed)
	}
	for range maxOfHost + 1 {
		add("192.0.2.9:1")
		accept()
	}
	_ = open[0].Close()
	_ = open[0].Close() // counts once
	again := add("[2001:db8::1]:2")
	accept()
	if again.closed {
		t.Error("one that was closed makes room")
	}
	excess = add("[2001:db8::1]:3")
	if _, err := l.Accept(); err == nil || !excess.closed {
		t.Error("a second close made room for another")
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	_ = again.Close()
	if len(l.open) > 0 {
		t.Errorf("hosts are not forgotten: %v", l.open)
	}
}

// TestURLWithDefaultPort: browsers leave it out of Host.
func TestURLWithDefaultPort(t *testing.T) {
	parsed, err := CheckSettings(Settings{Address: ":8443", URL: "https://Login.example.org:443"})
	if err != nil || parsed.Host != "login.example.org" {
		t.Errorf("got %v, %v", parsed, err)
	}
}
