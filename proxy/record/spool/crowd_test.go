// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// TestCrowd: how many must wait before a group is written.
func TestCrowd(t *testing.T) {
	cases := map[string]struct {
		reason string
		// groups are the sessions that wait for each group.
		groups [][]int
		want   int
	}{
		"Nobody": {reason: "records that nobody waits for make no crowd", groups: [][]int{{}}, want: 1},
		"One":    {reason: "a lone session never waits for others", groups: [][]int{{1}, {1}, {1}}, want: 1},
		"Two":    {reason: "nor do two", groups: [][]int{{1}, {2}, {1}, {2}}, want: 1},
		"Crowd":  {reason: "most of those seen of late", groups: [][]int{{1, 2, 3}, {4, 5, 6}, {1, 2, 3}, {4, 5, 6}}, want: 4},
		"Gone": {
			reason: "who does not come back is forgotten", want: 1,
			groups: [][]int{{1, 2, 3, 4, 5, 6}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var c crowd
			sessions := map[int]*underWay{}
			got := 0
			for _, group := range tc.groups {
				for _, n := range group {
					if sessions[n] == nil {
						sessions[n] = &underWay{}
					}
					c.see(sessions[n])
				}
				got = c.next()
			}
			if got != tc.want {
				t.Errorf("enough: got %d, want %d: %s", got, tc.want, tc.reason)
			}
		})
	}
	var c crowd
	if got := c.patience(0); got != leastPatience {
		t.Errorf("patience after a sync that took nothing: got %v", got)
	}
	for range 100 {
		c.patience(time.Second)
	}
	if got := c.patience(time.Second); got != mostPatience {
		t.Errorf("patience on a slow disk: got %v", got)
	}
}

// TestCrowdGoesHome: where most sessions stop at once, those that go on are not
// held up by the others' absence.
func TestCrowdGoesHome(t *testing.T) {
	l := mustOpen(t, Options{Dir: t.TempDir()})
	appendAll := func(sessions, each int) {
		var group sync.WaitGroup
		for n := range sessions {
			group.Go(func() {
				name := fmt.Sprintf("s-%d", n)
				for range each {
					if _, err := l.Append(t.Context(), record.Event{
						Type: record.OperationDecided, Session: name, OperationID: 1, Decision: &record.Decision{Effect: policy.Deny},
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
	}
	for n := range 32 {
		mustAppend(t, l, record.Event{Type: record.SessionStart, Session: fmt.Sprintf("s-%d", n)})
	}
	appendAll(32, 20)
	appendAll(3, 20)
	appendAll(1, 20)
	if got, want := l.Durable(), int64(32+32*20+3*20+20); got < want {
		t.Errorf("records on disk: got %d, want %d at least", got, want)
	}
}
