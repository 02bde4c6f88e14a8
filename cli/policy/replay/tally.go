// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"maps"

	"github.com/doorward/doorward/proxy/record"
)

// maxGroups bounds what is kept of the differences: more cannot be reviewed.
const maxGroups = 100_000

// tally is what one worker has found; the sum of those of all workers does not depend on
// how the records were dealt out.
type tally struct {
	operations, sessions, decided int64

	groups                             map[Name]*counted
	undecided, masksUnknown, otherwise map[gapName]*counted
	// suspects are groups of masks until all proofs are there.
	suspects map[suspect]*counted
	proven   map[proof]bool
}

func newTally() *tally {
	return &tally{
		groups: map[Name]*counted{}, undecided: map[gapName]*counted{}, masksUnknown: map[gapName]*counted{}, otherwise: map[gapName]*counted{},
		suspects: map[suspect]*counted{}, proven: map[proof]bool{},
	}
}

// errTooMany says that there are more groups than anybody reads.
func errTooMany() error {
	return fmt.Errorf("more than %d groups of differences: replay fewer records, such as those of one Connection or session, or see whether --policies is the right folder", maxGroups)
}

func count[K comparable](into map[K]*counted, key K, n int64, at where) error {
	found := into[key]
	if found == nil {
		if len(into) >= maxGroups {
			return errTooMany()
		}
		found = &counted{}
		into[key] = found
	}
	found.add(n, at)
	return nil
}

func merge[K comparable](into, from map[K]*counted) error {
	for key, c := range from {
		if err := count(into, key, c.count, c.first); err != nil {
			return err
		}
	}
	return nil
}

// add adds what another worker has found.
func (t *tally) add(other *tally) error {
	t.operations += other.operations
	t.sessions += other.sessions
	t.decided += other.decided
	if err := merge(t.groups, other.groups); err != nil {
		return err
	}
	if err := merge(t.suspects, other.suspects); err != nil {
		return err
	}
	maps.Copy(t.proven, other.proven)
	for _, both := range [][2]map[gapName]*counted{
		{t.undecided, other.undecided}, {t.masksUnknown, other.masksUnknown}, {t.otherwise, other.otherwise},
	} {
		if err := merge(both[0], both[1]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) report() (*Report, error) {
	if err := t.settle(); err != nil {
		return nil, err
	}
	r := &Report{
		Operations: t.operations, Sessions: t.sessions, Decided: t.decided, Changes: make([]Group, 0, len(t.groups)),
		Undecided: gapsOf(t.undecided), MasksUnknown: gapsOf(t.masksUnknown), Otherwise: gapsOf(t.otherwise),
	}
	for name, c := range t.groups {
		r.Changes = append(r.Changes, Group{Name: name, Count: c.count, Example: id(c.first)})
	}
	sortGroups(r.Changes)
	return r, nil
}

func gapsOf(found map[gapName]*counted) []Gap {
	gaps := make([]Gap, 0, len(found))
	for name, c := range found {
		gaps = append(gaps, Gap{Reason: name.reason, Connection: name.connection, Detail: name.detail, Count: c.count, Example: id(c.first)})
	}
	sortGaps(gaps)
	return gaps
}

func id(at where) string { return record.Position{LogID: at.log, Index: at.index}.ID() }
