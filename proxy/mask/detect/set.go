// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package detect finds sensitive content in text by its form: addresses, card
// numbers, keys. A scanner over classes of bytes finds where one may begin, an
// exact check of that place decides.
//
// A detector is best effort. It knows forms, not meaning: what is written in
// another form is not found, and what happens to have the form is. What each
// finds, and how often it errs, stands in docs/masking.md.
package detect

import "slices"

// Detector names a kind of content.
type Detector string

// The detectors.
const (
	Email       Detector = "Email"
	PaymentCard Detector = "PaymentCard"
	IBAN        Detector = "IBAN"
	Phone       Detector = "Phone"
	SSN         Detector = "SSN"
	JWT         Detector = "JWT"
	CloudKey    Detector = "CloudKey"
	PrivateKey  Detector = "PrivateKey"
	IPAddress   Detector = "IPAddress"
)

// The detectors as they are tried at a place; the first that finds one wins.
const (
	iPrivateKey = iota
	iJWT
	iCloudKey
	iEmail
	iIBAN
	iIPAddress
	iSSN
	iPaymentCard
	iPhone
	count
)

// Detectors are all of them, in the order in which they are tried at a place.
func Detectors() []Detector {
	return []Detector{PrivateKey, JWT, CloudKey, Email, IBAN, IPAddress, SSN, PaymentCard, Phone}
}

// Known says whether there is a detector of this name.
func Known(name string) bool { return slices.Contains(Detectors(), Detector(name)) }

// Rule is one detector and what becomes of its findings.
type Rule struct {
	Detector Detector
	// Null makes a whole value NULL that has a finding.
	Null bool
	// Replace appends to dst what stands for a finding. It must not keep finding,
	// and must be safe for concurrent use. Nil is [masked].
	Replace func(dst, finding []byte) []byte
}

// masked stands for a finding that has no replacement of its own.
const masked = "[masked]"

// MaxFinding is the length in bytes that a finding can have. What goes on longer,
// as only a token or a key can, is replaced by [masked] to its end.
const MaxFinding = 16 << 10

// Set is a set of detectors with what replaces their findings. The zero Set finds
// nothing. It is safe for concurrent use.
type Set struct {
	rules []Rule
	// whole is 1 more than the rule that finds every value: that of a detector
	// this build does not know, as a newer manager may name one.
	whole int
	// of is 1 more than the rule of each detector, 0 where it is off.
	of [count]int
	// act says what a byte may begin.
	act [256]action
}

// New makes a Set. Of several rules for a detector the first holds. A detector
// that is not known finds every value, so that nothing is shown by mistake.
func New(rules ...Rule) *Set {
	s := &Set{rules: rules}
	order := Detectors()
	for i, r := range rules {
		at := slices.Index(order, r.Detector)
		switch {
		case at < 0 && s.whole == 0:
			s.whole = i + 1
		case at >= 0 && s.of[at] == 0:
			s.of[at] = i + 1
		}
	}
	s.act = s.actions()
	return s
}

func (s *Set) on(detector int) bool { return s.of[detector] > 0 }

// Append appends a value to dst with its findings replaced, and counts them. It
// leaves dst as it is where the value becomes NULL. What is no finding is
// unchanged. It allocates nothing where dst has room.
func (s *Set) Append(dst, value []byte) (out []byte, found int, null bool) {
	if s.whole > 0 {
		if s.rules[s.whole-1].Null {
			return dst, 1, true
		}
		return append(dst, masked...), 1, false
	}
	out = dst
	v := view{v: value, final: true}
	at := 0
	for {
		m, verdict := s.next(v, at)
		if verdict != yes {
			return append(out, value[v.floor:]...), found, false
		}
		found++
		rule := &s.rules[s.of[m.detector]-1]
		if rule.Null {
			return dst, found, true
		}
		out = append(out, value[v.floor:m.start]...)
		out = rule.replace(out, value[m.start:m.end], m.open != nil)
		at = m.end
		for m.open != nil && at < len(value) && m.open[value[at]] {
			at++
		}
		v.floor = at
	}
}

// Find returns the index among New's rules of the one with the first finding.
func (s *Set) Find(value []byte) (rule int, found bool) {
	if s.whole > 0 {
		return s.whole - 1, true
	}
	m, verdict := s.next(view{v: value, final: true}, 0)
	if verdict != yes {
		return 0, false
	}
	return s.of[m.detector] - 1, true
}

// replace appends what stands for a finding. One that goes on beyond its bound
// is not whole, so no method but [masked] can be right for it.
func (r *Rule) replace(dst, finding []byte, open bool) []byte {
	if r.Replace == nil || open {
		return append(dst, masked...)
	}
	return r.Replace(dst, finding)
}
