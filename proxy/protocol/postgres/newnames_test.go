// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMadePastTheProxy: what somebody else has just made is there, although another
// name was missed a moment before.
func TestMadePastTheProxy(t *testing.T) {
	r, s := road(t)
	conn := client(t, r, s)
	for i := range 10 {
		name := fmt.Sprintf("public.made%d", i)
		past(t, "CREATE TABLE "+name+" (id integer)")
		t.Cleanup(func() { past(t, "DROP TABLE "+name) })
		if _, err := conn.Exec(deadline(t), "SELECT id FROM "+name); err != nil {
			t.Errorf("table %d: %v", i, err)
		}
	}
}

// TestMissesWait: statements that name what there is not do not load the target, and
// those of many sessions wait for one look at it together.
func TestMissesWait(t *testing.T) {
	const sessions, each, most = 8, 10, 13 * time.Second
	r, s := road(t)
	began := time.Now()
	var all sync.WaitGroup
	for range sessions {
		conn := client(t, r, s)
		all.Go(func() {
			for range each {
				if _, err := conn.Exec(deadline(t), "SELECT 1 FROM public.nowhere"); err == nil || !strings.Contains(err.Error(), "42P01") {
					t.Errorf("a table that there is not: %v", err)
				}
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > most {
		t.Errorf("%d sessions with %d misses each took %v", sessions, each, took)
	}
	conn := client(t, r, s)
	began = time.Now()
	for range 30 {
		_, _ = conn.Exec(deadline(t), "SELECT 1 FROM public.nowhere")
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("30 misses took %v: nothing bounds them", took)
	}
}
