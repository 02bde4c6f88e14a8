// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// life is a session that is followed to its end, by the clock of a synctest bubble.
type life struct {
	w     *world
	grant *Grant
	began time.Time
	// ended is how long it lasted; zero while it goes on.
	ended time.Duration
}

// live opens a session, and closes it with the test.
func (w *world) live() *life {
	w.t.Helper()
	l := &life{w: w, began: time.Now(), grant: w.authorize()}
	stop := context.AfterFunc(l.grant.Context(), func() { l.ended = time.Since(l.began) })
	w.t.Cleanup(func() {
		stop()
		l.grant.Close("")
	})
	return l
}

// until lets time pass until so long after the session began.
func (l *life) until(after time.Duration) { l.w.pass(after - time.Since(l.began)) }

// ends says whether the session has ended by then as it should.
func (l *life) ends(reason string, want error, after time.Duration) {
	l.w.t.Helper()
	if cause := context.Cause(l.grant.Context()); !errors.Is(cause, want) || l.ended != after {
		l.w.t.Errorf("%s: ended with %v after %s, want %v after %s", reason, cause, l.ended, want, after)
	}
}

// perPolicy makes rules under several policies, each with a limit of so many seconds.
func perPolicy(limit func(seconds int64) policy.Limits) func(seconds ...int64) rules {
	return func(seconds ...int64) rules {
		var limits []policy.Limits
		for _, s := range seconds {
			limits = append(limits, limit(s))
		}
		return limited(limits...)
	}
}
