// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import "time"

// form is how authorities of one kind are made and read. What becomes of them over
// time is the same for all kinds: see Advance.
type form struct {
	// make makes an authority.
	make func(constraints Constraints, now time.Time) (Pair, error)
	// load reads one that can sign.
	load func(pair Pair) (tenure, error)
	// unexpired keeps those of a bundle that are not over.
	unexpired func(bundle []byte, now time.Time) []byte
}

// tenure is what rotation asks of an authority.
type tenure struct {
	begins, ends time.Time
	// bound says whether it may sign what the constraints permit, and nothing else.
	bound func(Constraints) bool
}

// x509Form is that of the authority of serving certificates.
var x509Form = form{
	make: NewAuthority,
	load: func(pair Pair) (tenure, error) {
		authority, err := Load(pair)
		if err != nil {
			return tenure{}, err
		}
		c := authority.certificate
		return tenure{begins: c.NotBefore, ends: c.NotAfter, bound: func(wanted Constraints) bool {
			return wanted.equal(c.PermittedDNSDomains, c.PermittedIPRanges)
		}}, nil
	},
	unexpired: unexpired,
}

// hostForm is that of the authority of SSH host certificates.
var hostForm = form{
	make: NewHostAuthority,
	load: func(pair Pair) (tenure, error) {
		authority, err := LoadHost(pair)
		if err != nil {
			return tenure{}, err
		}
		return tenure{begins: authority.line.begins, ends: authority.line.ends, bound: authority.line.bound}, nil
	},
	unexpired: unexpiredHosts,
}
