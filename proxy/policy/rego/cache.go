// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/policy"
)

// The cache's bounds: cacheSets times cacheWays decisions, none of an operation
// whose key is longer than maxCachedKey bytes, hence at most some 40 MiB and in
// practice far less.
const (
	cacheSets    = 4096
	cacheWays    = 4
	maxCachedKey = 2048
)

// cacheStripes is how many counters share the counting, so that proxies with many
// processors do not all write to one place.
const cacheStripes = 64

// class is which policies bind a caller and which of them let him through, as bits.
// Two callers of one class get the same decisions.
type class []uint64

// classOf makes a class of numbers below n.
func classOf(n int, bound, granting []int) class {
	words := (n + 63) / 64
	c := make(class, 2*words)
	for _, number := range bound {
		c[number/64] |= 1 << (number % 64)
	}
	for _, number := range granting {
		c[words+number/64] |= 1 << (number % 64)
	}
	return c
}

// binds says whether a policy binds callers of the class.
func (c class) binds(number int) bool { return c[number/64]&(1<<(number%64)) != 0 }

// grants says whether a policy that binds callers of the class lets them through.
func (c class) grants(number int) bool { return c[len(c)/2:].binds(number) }

// cache keeps decisions of one engine. It is a table of sets of atomic
// pointers: a look-up takes no lock and allocates nothing, and a new decision
// replaces an old one of the same set. A lost or overwritten entry costs an
// evaluation, nothing else. The seed is random, so that nobody can aim at a set.
type cache struct {
	seed  maphash.Seed
	table [cacheSets][cacheWays]atomic.Pointer[cached]
	turn  atomic.Uint32
	uses  [cacheStripes]struct {
		hits, misses atomic.Uint64
		_            [48]byte // a line of the processor's cache for each
	}
}

// cached is a decision with its whole key: an equal hash is not trusted.
type cached struct {
	key      uint64
	who      class
	op       policy.Operation
	decision *policy.Decision
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed()} }

// key hashes a class and an operation.
func (c *cache) key(who class, op policy.Operation) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	for _, word := range who {
		maphash.WriteComparable(&h, word)
	}
	for i := range op.Accesses {
		h.WriteString(op.Accesses[i].Action)
		h.WriteByte(0)
		h.WriteString(op.Accesses[i].Resource)
		if op.Accesses[i].Indirect {
			h.WriteByte(3)
		}
		h.WriteByte(1)
	}
	for _, property := range op.Properties {
		h.WriteString(property)
		h.WriteByte(2)
	}
	return h.Sum64()
}

func (c *cache) get(key uint64, who class, op policy.Operation) (*policy.Decision, bool) {
	set := &c.table[key%cacheSets]
	for way := range set {
		found := set[way].Load()
		if found != nil && found.key == key && slices.Equal(found.who, who) &&
			slices.Equal(found.op.Accesses, op.Accesses) && slices.Equal(found.op.Properties, op.Properties) {
			c.uses[key%cacheStripes].hits.Add(1)
			return found.decision, true
		}
	}
	c.uses[key%cacheStripes].misses.Add(1)
	return nil, false
}

// stats adds up what was found and what was not.
func (c *cache) stats() (hits, misses uint64) {
	for i := range c.uses {
		hits += c.uses[i].hits.Load()
		misses += c.uses[i].misses.Load()
	}
	return hits, misses
}

// put keeps a decision of an operation that the cache may own.
func (c *cache) put(key uint64, who class, op policy.Operation, decision *policy.Decision) {
	if sizeOf(op) > maxCachedKey {
		return
	}
	entry := &cached{key: key, who: who, op: op, decision: decision}
	set := &c.table[key%cacheSets]
	for way := range set {
		if set[way].CompareAndSwap(nil, entry) {
			return
		}
	}
	set[c.turn.Add(1)%cacheWays].Store(entry)
}

func sizeOf(op policy.Operation) int {
	size := 0
	for _, access := range op.Accesses {
		size += len(access.Action) + len(access.Resource) + 2
	}
	for _, property := range op.Properties {
		size += len(property) + 1
	}
	return size
}

// own copies an operation with its strings, which may be parts of a large
// statement that the cache must not keep alive.
func own(op policy.Operation) policy.Operation {
	copied := policy.Operation{
		Accesses:   make([]policy.Access, len(op.Accesses)),
		Properties: make([]string, len(op.Properties)),
	}
	for i, access := range op.Accesses {
		copied.Accesses[i] = policy.Access{
			Action: strings.Clone(access.Action), Resource: strings.Clone(access.Resource), Indirect: access.Indirect,
		}
	}
	for i, property := range op.Properties {
		copied.Properties[i] = strings.Clone(property)
	}
	return copied
}
