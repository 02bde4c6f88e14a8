// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"bytes"
	"fmt"
	"time"
)

// State is what the authority's Secret holds. Next is made at half of the life
// of Current and becomes Current at two thirds, so that every bundle has had it
// for weeks before a certificate needs it. Previous stays in the bundle until it
// expires.
type State struct {
	Current  Pair
	Next     Pair
	Previous []byte // their certificates
}

// Advance brings the state of the authority of serving certificates to where it has to be
// now, and says whether it changed. It makes the first authority, begins and ends rotations,
// and replaces an authority that is over or whose constraints are not the wanted ones. One
// that is there and cannot be read is an error and never replaced: callers would have to be
// given another bundle, and a backup may have it.
func Advance(state State, constraints Constraints, now time.Time) (State, bool, error) {
	return x509Form.advance(state, constraints, now)
}

// AdvanceHosts does the same for the authority of SSH host certificates.
func AdvanceHosts(state State, constraints Constraints, now time.Time) (State, bool, error) {
	return hostForm.advance(state, constraints, now)
}

func (f form) advance(state State, constraints Constraints, now time.Time) (State, bool, error) {
	current, err := f.load(state.Current)
	if err != nil && len(state.Current.Certificate)+len(state.Current.Key) > 0 {
		return State{}, false, fmt.Errorf("%w: restore it, or delete it, after which callers need the new trust bundle", err)
	}
	changed := false
	if err == nil && now.After(current.ends) {
		// Nobody was there to rotate it in time. Who has the bundle knows the next.
		if next, err := f.load(state.Next); err == nil {
			state, current, changed = State{Current: state.Next, Previous: state.Previous}, next, true
		}
	}
	if err != nil || now.After(current.ends) {
		fresh, err := f.make(constraints, now)
		if err != nil {
			return State{}, false, err
		}
		return State{Current: fresh, Previous: f.unexpired(state.Previous, now)}, true, nil
	}
	if kept := f.unexpired(state.Previous, now); !bytes.Equal(kept, state.Previous) {
		state.Previous, changed = kept, true
	}
	if !current.bound(constraints) {
		// An administrator changed what may be signed. The new bounds hold from
		// now on; the old certificate stays trusted until it expires.
		fresh, err := f.make(constraints, now)
		if err != nil {
			return State{}, false, err
		}
		return State{Current: fresh, Previous: join(state.Previous, state.Current.Certificate)}, true, nil
	}
	age, life := now.Sub(current.begins), current.ends.Sub(current.begins)
	next, err := f.load(state.Next)
	if err != nil && age >= life/2 {
		fresh, err := f.make(constraints, now)
		if err != nil {
			return State{}, false, err
		}
		state.Next, changed = fresh, true
		return state, changed, nil
	}
	if err == nil && age >= life*2/3 && now.Sub(next.begins) > time.Hour {
		state = State{Current: state.Next, Previous: join(state.Previous, state.Current.Certificate)}
		changed = true
	}
	return state, changed, nil
}

// Bundle is what callers trust: every authority that may have signed a valid
// certificate, or soon will.
func (s State) Bundle() []byte {
	return join(s.Current.Certificate, s.Next.Certificate, s.Previous)
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
