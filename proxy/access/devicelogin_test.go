// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// deviceLogins is a portal that answers so.
type deviceLogins struct {
	asked        DeviceAsking
	begin, waits error
}

func (d *deviceLogins) Begin(_ context.Context, ask DeviceAsking) (DeviceLogin, error) {
	d.asked = ask
	return d, d.begin
}

func (d *deviceLogins) Link() string         { return "https://login.example/device" }
func (d *deviceLogins) UserCode() string     { return "CODE" }
func (d *deviceLogins) ExpiresAt() time.Time { return time.Now().Add(time.Minute) }

func (d *deviceLogins) Close() {}

func (d *deviceLogins) Wait(context.Context) (identity.Credential, error) {
	return identity.BoundToken("token", "secret"), d.waits
}

var loginPortal = snapshot.LoginPortal{URL: "https://login.example"}

// TestDeviceLogin: who is asked about what; and the credential is proven as every other.
func TestDeviceLogin(t *testing.T) {
	w, portal := newWorld(t, allowing), &deviceLogins{}
	if _, err := w.entry().DeviceLogin(t.Context()); !errors.Is(err, ErrNoPortal) {
		t.Errorf("nobody asks a portal: %v", err)
	}
	w.gate.config.DeviceLogins = portal
	if _, err := w.entry().DeviceLogin(t.Context()); !errors.Is(err, ErrNoPortal) {
		t.Errorf("the snapshot names no portal: %v", err)
	}
	w.apply(allowing, func(s *snapshot.Snapshot) { s.Login.Portal = loginPortal })
	entry := w.entry()
	d, err := entry.DeviceLogin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if portal.asked.Portal != loginPortal || portal.asked.Connection.Name != "shop" || portal.asked.Client != "192.0.2.7" {
		t.Errorf("asked %+v", portal.asked)
	}
	credential, err := d.Wait(t.Context())
	if err != nil || credential.Secret() != "secret" {
		t.Fatalf("%v", err)
	}
	w.verifyErr = fmt.Errorf("%w: revoked meanwhile", identity.ErrRejected)
	if _, err := entry.Authenticate(t.Context(), credential); err == nil {
		t.Error("what the portal gives is believed without the Verifier")
	}
	w.verifyErr = nil
	if caller, err := entry.Authenticate(t.Context(), credential); err != nil || caller.Principal().UserName != "alice" {
		t.Errorf("%v", err)
	}
	w.gate.Drain()
	if _, err := w.entry().DeviceLogin(t.Context()); AsRefusal(err).Reason != ReasonDraining {
		t.Errorf("a login begins where no session can: %v", err)
	}
}

// TestDeviceLoginRefused: every end is told in the caller's words, without what is the
// operators' business, and is on record.
func TestDeviceLoginRefused(t *testing.T) {
	inside := errors.New("dial 10.0.0.9: canary")
	for name, tc := range map[string]struct {
		reason string
		cause  error
		want   Reason
		says   string
	}{
		"Denied":  {"the portal's words are for the caller", fmt.Errorf("%w: said no", ErrLoginDenied), ReasonCredential, "said no"},
		"Expired": {"nobody came", ErrLoginExpired, ReasonCredential, "in time"},
		"Pace":    {"too many from one address", ErrLoginPace, ReasonLimit, "from your address"},
		"Down":    {"the inside of the network is nobody's business yet", inside, ReasonUnavailable, "portal cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			w, portal := newWorld(t, allowing), &deviceLogins{begin: tc.cause}
			var trouble error
			w.gate.config.DeviceLogins, w.gate.config.Trouble = portal, func(_ string, cause error) { trouble = cause }
			w.apply(allowing, func(s *snapshot.Snapshot) { s.Login.Portal = loginPortal })
			check := func(when string, err error) {
				t.Helper()
				refusal := (*Refusal)(nil)
				if !errors.As(err, &refusal) || refusal.Reason != tc.want || !strings.Contains(refusal.Message, tc.says) || refusal.Hint == "" || strings.Contains(refusal.Message+refusal.Hint, "canary") {
					t.Errorf("%s, %s: %+v", tc.reason, when, refusal)
				}
			}
			_, err := w.entry().DeviceLogin(t.Context())
			check("at once", err)
			if n := len(w.log.OfType(record.AuthenticationFailed)); n > 0 {
				t.Errorf("%d failures are on record, and nobody has tried yet", n)
			}
			portal.begin, portal.waits = nil, tc.cause
			d, err := w.entry().DeviceLogin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			credential, err := d.Wait(t.Context())
			check("later", err)
			if credential.Token() != "" {
				t.Error("a credential with an error")
			}
			failures := w.log.OfType(record.AuthenticationFailed)
			if len(failures) != 1 || failures[0].ReasonCode != tc.want || failures[0].ClientAddress == "" {
				t.Errorf("on record: %+v", failures)
			}
			if (trouble == nil) != (name != "Down") {
				t.Errorf("the operators were told %v", trouble)
			}
		})
	}
	t.Run("Left", func(t *testing.T) {
		w := newWorld(t, allowing)
		w.gate.config.DeviceLogins = &deviceLogins{waits: inside}
		w.apply(allowing, func(s *snapshot.Snapshot) { s.Login.Portal = loginPortal })
		ctx, leave := context.WithCancel(t.Context())
		d, err := w.entry().DeviceLogin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		leave()
		if _, err := d.Wait(ctx); !errors.Is(err, context.Canceled) || len(w.log.OfType(record.AuthenticationFailed)) > 0 {
			t.Errorf("who left has failed at nothing: %v", err)
		}
	})
}
