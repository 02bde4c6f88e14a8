// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dialTimeout = 5 * time.Second

func listen(t *testing.T) (net.Listener, Target) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	target, err := ParseTarget(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return listener, target
}

func TestDialInOrder(t *testing.T) {
	closed, dead := listen(t)
	closed.Close()
	_, first := listen(t)
	_, second := listen(t)

	conn, target, err := Dial(t.Context(), []Target{dead, first, second}, dialTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if target != first {
		t.Errorf("dialled %v, want %v: the first target that accepts", target, first)
	}
}

func TestDialErrors(t *testing.T) {
	closed, dead := listen(t)
	closed.Close()
	_, alive := listen(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	cases := map[string]struct {
		reason  string
		ended   bool
		targets []Target
		want    error
		text    string
	}{
		"NoTargets":   {reason: "nothing to dial is an error", text: "names no address"},
		"AllDead":     {reason: "the error names each target", targets: []Target{dead}, text: dead.String()},
		"Ended":       {reason: "an ended context dials nothing", ended: true, targets: []Target{alive}, want: context.Canceled},
		"LinkLocal":   {reason: "checklist 25: the metadata address is refused at connect time", targets: []Target{{"169.254.169.254", 80}}, want: ErrForbiddenAddress},
		"Unspecified": {reason: "checklist 25: 0.0.0.0 would reach the proxy's own host", targets: []Target{{"0.0.0.0", alive.Port}}, want: ErrForbiddenAddress},
		"Mapped":      {reason: "checklist 25: an IPv4-mapped address is the IPv4 address", targets: []Target{{"::ffff:169.254.169.254", 80}}, want: ErrForbiddenAddress},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if tc.ended {
				ctx = ended
			}
			conn, _, err := Dial(ctx, tc.targets, dialTimeout)
			if err == nil {
				conn.Close()
				t.Fatalf("%s: dialled", tc.reason)
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %q, want it to name %q", tc.reason, err, tc.text)
			}
		})
	}
}

// TestDialRebinding (checklist 25): what counts is the address that a name
// resolves to when the socket connects, so a name that changed is refused.
func TestDialRebinding(t *testing.T) {
	if err := refuseForbidden("tcp4", "169.254.169.254:80", nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("got %v, want ErrForbiddenAddress", err)
	}
	if err := refuseForbidden("tcp6", "[fe80::1%eth0]:80", nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("got %v, want ErrForbiddenAddress", err)
	}
	if err := refuseForbidden("tcp", "metadata.internal:80", nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("got %v, want ErrForbiddenAddress: only IP addresses can be judged", err)
	}
}

// TestCheckAddress (checklist 25): every dial asks the list of package egress, which
// has its own tests, and leaves private addresses and the proxy's own host alone.
func TestCheckAddress(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:5432":            true,
		"[::1]:5432":                true,
		"10.0.0.7:5432":             true,
		"100.64.0.1:5432":           true,
		"[fd12::1]:5432":            true,
		"[64:ff9b::a00:1]:5432":     true,
		"169.254.169.254:80":        false,
		"[fe80::1%eth0]:80":         false,
		"100.100.100.200:80":        false,
		"168.63.129.16:80":          false,
		"192.0.0.192:80":            false,
		"[fd00:ec2::254]:80":        false,
		"[::ffff:168.63.129.16]:80": false,
		"[64:ff9b::a9fe:a9fe]:80":   false,
		"[64:ff9b:1::a9fe:a9fe]:80": false,
		"[fd00:c1::a9fe:a9fe]:80":   false,
	} {
		err := refuseForbidden("tcp", address, nil)
		if allowed != (err == nil) || err != nil && !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: %v, want allowed %t", address, err, allowed)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]Target{
		"db.example.com:5432": {"db.example.com", 5432},
		"[2001:db8::1]:5432":  {"2001:db8::1", 5432},
		"10.0.0.1:1":          {"10.0.0.1", 1},
	} {
		got, err := ParseTarget(text)
		if err != nil || got != want {
			t.Errorf("ParseTarget(%q) = %v, %v, want %v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("String() = %q, want %q", got.String(), text)
		}
	}
	for _, text := range []string{"", "db", ":5432", "db:", "db:0", "db:65536", "db:-1", "db:postgres", "2001:db8::1:5432", "a:b:1"} {
		if got, err := ParseTarget(text); err == nil {
			t.Errorf("ParseTarget(%q) = %v, want an error", text, got)
		}
	}
}
