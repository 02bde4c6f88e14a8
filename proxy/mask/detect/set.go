// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package detect finds sensitive content in text by its form: addresses, card
// numbers, keys. A scanner over classes of bytes finds where one may begin, an
// exact check of that place decides.
//
// A detector is best effort. It knows forms, not meaning: what is written in
// another form is not found, and what happens to have the form is.
package detect

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

// Detectors are all of them, in the order in which they are tried at a place.
func Detectors() []Detector {
	return []Detector{PrivateKey, JWT, CloudKey, Email, IBAN, IPAddress, SSN, PaymentCard, Phone}
}

// Known says whether there is a detector of this name.
func Known(name string) bool {
	for _, d := range Detectors() {
		if string(d) == name {
			return true
		}
	}
	return false
}

// Rule is one detector and what becomes of its findings.
type Rule struct {
	Detector Detector
	// Null makes a whole value NULL that has a finding.
	Null bool
	// Replace appends to dst what stands for a finding. It must not keep finding,
	// and must be safe for concurrent use.
	Replace func(dst, finding []byte) []byte
}

// masked stands for a finding that has no replacement of its own.
const masked = "[masked]"
