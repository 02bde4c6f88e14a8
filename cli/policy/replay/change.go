// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"slices"
	"strings"
)

// The changes, in the order in which they are shown.
const (
	// NewlyAllowed was refused, and would be let through.
	NewlyAllowed = "NewlyAllowed"
	// NoLongerHeld waited for an approval, and would be let through without.
	NoLongerHeld = "NoLongerHeld"
	// NoLongerMasked is a field that was masked in an answer, and would not be.
	NoLongerMasked = "NoLongerMasked"
	// NewlyAdmitted is a session that was refused, and would be let in.
	NewlyAdmitted = "NewlyAdmitted"
	// NewlyDenied was let through or held, and would be refused.
	NewlyDenied = "NewlyDenied"
	// NewlyHeld was let through or refused, and would wait for an approval.
	NewlyHeld = "NewlyHeld"
	// NewlyMasked is a field that an answer showed or depended on, and that would be
	// masked. Its masks permit both what is derived from it and that it decides which
	// rows come.
	NewlyMasked = "NewlyMasked"
	// MaskedOrRefused is the same with masks that refuse what they cannot mask: whether
	// the operation is one of these depends on what it does with the field.
	MaskedOrRefused = "MaskedOrRefused"
	// NewlyTurnedAway is a session that was let in, and would be refused.
	NewlyTurnedAway = "NewlyTurnedAway"
	// RoleChanged is a session that would assume another role at the target.
	RoleChanged = "RoleChanged"
)

// changes are all of them, what widens access first.
var changes = []string{
	NewlyAllowed, NoLongerHeld, NoLongerMasked, NewlyAdmitted, NewlyDenied, NewlyHeld, NewlyMasked, MaskedOrRefused, NewlyTurnedAway, RoleChanged,
}

// Name is what tells one group of changes from all others.
type Name struct {
	Change     string `json:"change"`
	Connection string `json:"connection"`
	Caller     string `json:"caller"`
	// Access is that which is refused or held; of what would be let through, all that
	// it does; of masks, the field; of sessions, "connect".
	Access string `json:"access"`
	// Rule is what decides under the candidate policies.
	Rule string `json:"rule"`
}

// Group is the changes of one name.
type Group struct {
	Name `json:",inline"`
	// Count is the number of operations, or of sessions.
	Count int64 `json:"count"`
	// Example is the id of the first record: log/index.
	Example string `json:"example"`
	// Accepted says that the accept file names the group.
	Accepted bool `json:"accepted,omitempty"`
}

// Gap is what could not be decided again, for one reason.
type Gap struct {
	Reason     string `json:"reason"`
	Connection string `json:"connection,omitempty"`
	// Detail says what is missing, and the remedy.
	Detail  string `json:"detail"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
	// Accepted says that the accept file names the reason for the Connection.
	Accepted bool `json:"accepted,omitempty"`
}

// Report is what a replay found, in an order that depends on the records alone.
type Report struct {
	// Operations is the number of operations in the records, Sessions that of sessions
	// that began or were refused.
	Operations int64 `json:"operations"`
	Sessions   int64 `json:"sessions"`
	// Decided is the number of operations that were decided again.
	Decided int64   `json:"decided"`
	Changes []Group `json:"changes"`
	// Undecided is what could not be decided again.
	Undecided []Gap `json:"undecided"`
	// MasksUnknown is what was decided again, but for its masks.
	MasksUnknown []Gap `json:"masksUnknown"`
	// Otherwise is what was refused for a reason that no policy has a say in, such as
	// a statement that the protocol never forwards.
	Otherwise []Gap `json:"otherwise"`
}

// where is the place of a record: its id sorts as logs do.
type where struct {
	log   string
	index int64
}

func (w where) before(other where) bool {
	if c := cmp.Compare(w.log, other.log); c != 0 {
		return c < 0
	}
	return w.index < other.index
}

// counted is how often something was found, and first where.
type counted struct {
	count int64
	first where
}

func (c *counted) add(n int64, at where) {
	if c.count == 0 || at.before(c.first) {
		c.first = at
	}
	c.count += n
}

// gapName tells the gaps apart.
type gapName struct{ reason, connection, detail string }

func sortGroups(groups []Group) {
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(slices.Index(changes, a.Change), slices.Index(changes, b.Change)), strings.Compare(a.Connection, b.Connection),
			strings.Compare(a.Caller, b.Caller), strings.Compare(a.Access, b.Access), strings.Compare(a.Rule, b.Rule),
		)
	})
}

func sortGaps(gaps []Gap) {
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(strings.Compare(a.Reason, b.Reason), strings.Compare(a.Connection, b.Connection), strings.Compare(a.Detail, b.Detail))
	})
}
