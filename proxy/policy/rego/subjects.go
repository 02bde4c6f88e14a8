// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"math/bits"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// subjectIndex finds the policies that apply to a caller. The library holds
// the same index as data and decides by it; this one makes the cache's key,
// and every answer of the library is checked against it.
type subjectIndex struct {
	users, groups map[string][]entry
}

// entry is a policy that a name leads to, if the provider proved the caller.
type entry struct {
	policy   int
	provider string
}

// class is the set of policies that apply to a caller, as bits. Two callers of
// one class get the same decisions: rules look at nothing else of a caller.
type class []uint64

// classWords is the size of a class that needs no allocation: 512 policies.
const classWords = 8

func setBit(c class, number int) class {
	for len(c) <= number/64 {
		c = append(c, 0)
	}
	c[number/64] |= 1 << (number % 64)
	return c
}

// each calls f with every policy of the class, in order.
func (c class) each(f func(number int)) {
	for word, left := range c {
		for ; left != 0; left &= left - 1 {
			f(word*64 + bits.TrailingZeros64(left))
		}
	}
}

func (c class) has(number int) bool {
	return number >= 0 && number/64 < len(c) && c[number/64]&(1<<(number%64)) != 0
}

func (s *subjectIndex) add(number int, subjects []policy.Subject) error {
	if len(subjects) == 0 {
		return fmt.Errorf("no subjects: name at least one")
	}
	for _, subject := range subjects {
		if subject.Name == "" {
			return fmt.Errorf("subject without a name: kind %q", subject.Kind)
		}
		found := entry{policy: number, provider: subject.Provider}
		switch subject.Kind {
		case "User":
			s.users[subject.Name] = append(s.users[subject.Name], found)
		case "Group":
			s.groups[subject.Name] = append(s.groups[subject.Name], found)
		default:
			return fmt.Errorf("unknown kind of subject: want User or Group: %q", subject.Kind)
		}
	}
	return nil
}

func (s *subjectIndex) data(index map[string][]entry) map[string]any {
	data := make(map[string]any, len(index))
	for name, entries := range index {
		list := make([]any, len(entries))
		for i, e := range entries {
			list[i] = map[string]any{"policy": e.policy, "provider": e.provider}
		}
		data[name] = list
	}
	return data
}

// classOf finds the caller's class in buffer, without trailing zero words so
// that equal classes have equal length.
func (s *subjectIndex) classOf(caller *identity.Principal, buffer class) class {
	found := buffer[:0]
	for _, e := range s.users[caller.UserName] {
		if e.provider == "" || e.provider == caller.Provider {
			found = setBit(found, e.policy)
		}
	}
	for _, group := range caller.Groups {
		for _, e := range s.groups[group] {
			if e.provider == "" || e.provider == caller.Provider {
				found = setBit(found, e.policy)
			}
		}
	}
	return found
}
