// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// Records name the masks that were in force, and not what these were for. Where a mask of
// the same name is for a field now that was not masked in an answer, it may be wider than
// it was; or the operation names the field, and its answer did not show it. So the whole
// of the records is asked: a mask that masked the field in any answer is no wider by it.

// proof says that a mask of that name was in force when a field was masked in an answer,
// which it would mask now.
type proof struct{ connection, field, mask string }

// suspect is a group of which a mask of the same name was in force; maybe says that it is
// no more than possible that the field was shown.
type suspect struct {
	Name
	maybe bool
}

// settle makes of what is suspected what is found.
func (t *tally) settle() error {
	for s, c := range t.suspects {
		if t.cleared(&s) {
			continue
		}
		var err error
		if s.maybe {
			err = merge(t.masksUnknown, map[gapName]*counted{{
				"MaskMayBeWider", s.Connection, "masks of the same names were in force (" + s.Rule + "), and " + s.Access +
					" was masked in no answer: whether they were for it is not on record",
			}: c})
		} else {
			err = merge(t.groups, map[Name]*counted{s.Name: c})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cleared says that one of the masks was for the field, or for one that it stands for.
func (t *tally) cleared(s *suspect) bool {
	masks := strings.Split(s.Rule, ", ")
	for p := range t.proven {
		if p.connection == s.Connection && slices.Contains(masks, p.mask) && (policy.Match(s.Access, p.field) || column(s.Access) == column(p.field)) {
			return true
		}
	}
	return false
}

// column is the last part of a field, which relatives such as partitions have in common.
func column(field string) string { return field[strings.LastIndex(field, ".")+1:] }
