// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: whoever comes in great numbers, of one address or of many, waits for himself.
func TestTurns(t *testing.T) {
	const burst, perSecond = 20, 10
	for name, tc := range map[string]struct {
		reason string
		flood  func(i int) string
		// within is how long somebody else may wait.
		within time.Duration
	}{
		"OneHost":     {"one host", func(int) string { return "192.0.2.66" }, 300 * time.Millisecond},
		"SixHosts":    {"a host each of six networks", func(i int) string { return fmt.Sprintf("10.0.%d.1", i%6) }, time.Second},
		"OneNetwork":  {"a whole network of IPv4", func(i int) string { return fmt.Sprintf("10.0.0.%d", i%256) }, 300 * time.Millisecond},
		"ManySubnets": {"all networks of 64 bits of one customer's", func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i) }, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := NewTurns(perSecond, burst)
				flood, stop := context.WithCancel(t.Context())
				for i := range 500 {
					go func() { _ = turns.Wait(flood, Places(tc.flood(i))...) }()
				}
				synctest.Wait()
				for _, host := range []string{"203.0.113.7", "2001:db8:2::7", "192.0.3.1"} {
					began := time.Now()
					if err := turns.Wait(t.Context(), Places(host)...); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > tc.within {
						t.Errorf("%s: %s waits for %s, want at most %s", tc.reason, host, took, tc.within)
					}
				}
				stop()
				synctest.Wait()
				turns.mu.Lock()
				if !turns.waiting.empty() {
					t.Errorf("%d lines are kept of those who left", len(turns.waiting.lines))
				}
				turns.mu.Unlock()
				<-time.After(time.Minute)
				synctest.Wait()
				if turns.calls {
					t.Error("nobody waits, and somebody is called")
				}
			})
		})
	}
}

// TestTurnsWithinNetwork: neighbours in one network take turns, and one host's come in
// their order.
func TestTurnsWithinNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1, 1)
		if err := turns.Wait(t.Context(), Places("10.9.9.9")...); err != nil {
			t.Fatal(err)
		}
		var order []string
		for i, host := range []string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.1.1"} {
			go func() {
				if turns.Wait(t.Context(), Places(host)...) == nil {
					turns.mu.Lock()
					defer turns.mu.Unlock()
					order = append(order, fmt.Sprint(i))
				}
			}()
			synctest.Wait()
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if want := []string{"0", "4", "3", "1", "2"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
	})
}

// TestTurnsRate: all together keep to the rate, and who gives up says why.
func TestTurnsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(10, 20)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second+time.Millisecond)
		defer cancel()
		through, gaveUp := make(chan struct{}, 1000), make(chan struct{}, 1000)
		for i := range 200 {
			go func() {
				switch err := turns.Wait(ctx, Places(fmt.Sprintf("10.0.%d.1", i%5))...); {
				case err == nil:
					through <- struct{}{}
				case errors.Is(err, context.DeadlineExceeded):
					gaveUp <- struct{}{}
				default:
					t.Error(err)
				}
			}()
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if len(through) != 20+30 || len(gaveUp) != 150 {
			t.Errorf("%d came through and %d gave up, want the burst and three seconds' worth", len(through), len(gaveUp))
		}
	})
}

// TestHosts: what counts as one host, and as one network.
func TestHosts(t *testing.T) {
	for text, want := range map[string][]string{
		"192.0.2.7":           {"192.0.2.0/24", "192.0.2.7"},
		"192.0.2.7:4000":      {"192.0.2.0/24", "192.0.2.7"},
		"::ffff:192.0.2.7":    {"192.0.2.0/24", "192.0.2.7"},
		"[2001:db8:1:2::7]:1": {"2001:db8:1::/48", "2001:db8:1:2::"},
		"2001:db8:1:2:3::":    {"2001:db8:1::/48", "2001:db8:1:2::"},
		"fe80::1%eth0":        {"fe80::/48", "fe80::"},
		"@":                   {"@", "@"},
		"":                    {"", ""},
	} {
		if got := Places(text); !slices.Equal(got, want) || HostOf(text) != want[1] {
			t.Errorf("%q is of %q and %q, want %q", text, got, HostOf(text), want)
		}
	}
	if Host(netip.Addr{}).IsValid() {
		t.Error("no address is a host")
	}
}
