// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"testing"

	"golang.org/x/time/rate"
)

// TestCancelsAreLimited is checklist 16: keys cannot be tried at will from one
// address, whatever its port, and those who try do not grow the proxy.
func TestCancelsAreLimited(t *testing.T) {
	h := &handler{limiters: map[string]*rate.Limiter{}}
	const tries = 10 * cancelBurst
	allowed := 0
	for i := range tries {
		if h.allowCancel(fmt.Sprintf("192.0.2.1:%d", 1024+i)) {
			allowed++
		}
	}
	// The loop takes far less than a second; a second's worth is forgiven.
	if allowed < cancelBurst || allowed > cancelBurst+cancelsPerSecond {
		t.Errorf("%d of %d cancel requests from one address are taken, want about %d", allowed, tries, cancelBurst)
	}
	if !h.allowCancel("192.0.2.2:1024") {
		t.Error("one address keeps another from canceling")
	}
	for i := range 2 * maxLimiters {
		h.allowCancel(fmt.Sprintf("[2001:db8:0:%x::1]:1", i))
	}
	if n := len(h.limiters); n > maxLimiters {
		t.Errorf("%d addresses are remembered, want at most %d", n, maxLimiters)
	}
}
