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

// cache keeps decisions of one engine. It is a table of sets of atomic
// pointers: a look-up takes no lock and allocates nothing, and a new decision
// replaces an old one of the same set. A lost or overwritten entry costs an
// evaluation, nothing else. The seed is random, so that nobody can aim at a set.
type cache struct {
	seed  maphash.Seed
	table [cacheSets][cacheWays]atomic.Pointer[cached]
	turn  atomic.Uint32
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
			return found.decision, true
		}
	}
	return nil, false
}

// put keeps a decision of an operation that the cache may own.
func (c *cache) put(key uint64, who class, op policy.Operation, decision *policy.Decision) {
	if sizeOf(op) > maxCachedKey {
		return
	}
	entry := &cached{key: key, who: slices.Clone(who), op: op, decision: decision}
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
