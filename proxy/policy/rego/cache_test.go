// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

func TestCacheKeepsClassesApart(t *testing.T) {
	c := newCache()
	o := op("select public.orders")
	analyst, other := class{1}, class{2}
	c.put(c.key(analyst, o), analyst, o, &policy.Decision{Effect: policy.Allow})
	if _, ok := c.get(c.key(other, o), other, o); ok {
		t.Error("a decision for one class served another")
	}
	// Even with an equal hash, the whole key decides.
	if _, ok := c.get(c.key(analyst, o), other, o); ok {
		t.Error("a decision was served on an equal hash of another class")
	}
	if _, ok := c.get(c.key(analyst, o), analyst, op("select public.secrets")); ok {
		t.Error("a decision was served on an equal hash of another operation")
	}
	if _, ok := c.get(c.key(analyst, o), analyst, with(o, "unboundedWrite")); ok {
		t.Error("a decision was served for other properties")
	}
	indirect := op("select public.orders")
	indirect.Accesses[0].Indirect = true
	if _, ok := c.get(c.key(analyst, o), analyst, indirect); ok {
		t.Error("a decision for a named access was served for one that was not named")
	}
	if c.key(analyst, o) == c.key(analyst, indirect) {
		t.Error("the key does not hold whether an access was named")
	}
	if got, ok := c.get(c.key(analyst, o), analyst, o); !ok || got.Effect != policy.Allow {
		t.Errorf("get = %v, %t, want the decision", got, ok)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	for i := range 3 * cacheSets * cacheWays {
		o := op(fmt.Sprintf("select t%d", i))
		c.put(c.key(nil, o), nil, o, &policy.Decision{Message: o.Accesses[0].Resource})
		if got, ok := c.get(c.key(nil, o), nil, o); !ok || got.Message != o.Accesses[0].Resource {
			t.Fatalf("get = %v, %t right after put", got, ok)
		}
	}
	huge := op("select " + strings.Repeat("x", maxCachedKey))
	c.put(c.key(nil, huge), nil, huge, &policy.Decision{})
	if _, ok := c.get(c.key(nil, huge), nil, huge); ok {
		t.Error("an operation beyond the bound was kept")
	}
}

func TestCacheConcurrently(t *testing.T) {
	e := engine(t, shop())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 200 {
				who, want := caller("alice", "analysts"), policy.Allow
				if i%2 == 0 {
					who, want = caller("mallory"), policy.Deny
				}
				got, err := decide(t.Context(), e, who, op(fmt.Sprintf("select public.t%d", i%10)))
				if err != nil || got.Effect != want {
					t.Errorf("Decide = %v, %v, want %v", got.Effect, err, want)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestCacheStats: each look-up is counted once.
func TestCacheStats(t *testing.T) {
	e := engine(t, shop())
	for i := range 10 {
		if _, err := decide(t.Context(), e, caller("alice", "analysts"), op(fmt.Sprintf("select public.t%d", i%3))); err != nil {
			t.Fatal(err)
		}
	}
	if hits, misses := e.CacheStats(); hits != 7 || misses != 3 {
		t.Errorf("CacheStats = %d hits, %d misses, want 7 and 3", hits, misses)
	}
}
