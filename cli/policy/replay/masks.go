// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// contentPrefix stands before a detector's name among the masked fields of a result.
const contentPrefix = "content:"

// masked is an operation whose masks can be judged when the fields that were masked in
// its answer are known.
type masked struct {
	group Name
	at    where
	now   []policy.Mask
	// before are the masks that were in force, as policy/mask.
	before []string
	fields []string
	// direct are the resources that the operation names itself.
	direct []string
}

// masks judges the masks of an operation that is let through, or held, now as then.
func (w *worker) masks(on *connection, s *standing, d *line, before outcome, now *verdict, at where) error {
	op := d.Operation
	if before != denied && s.masksDiffer {
		return count(w.tally.masksUnknown, s.unclear, 1, at)
	}
	if before == denied || len(s.masks) == 0 && len(d.Decision.Masks) == 0 && before != unmaskable {
		return nil
	}
	m := &masked{group: Name{Connection: on.name, Caller: s.caller.name}, at: at, now: s.masks}
	var r reader
	m.before, m.fields = r.texts(d.Decision.Masks), r.texts(op.Fields)
	for _, a := range op.Accesses {
		if !a.Indirect && a.Resource != "" {
			m.direct = append(m.direct, r.text(a.Resource))
		}
	}
	switch {
	case before == unmaskable:
		return w.unmaskable(m, now, op)
	case len(s.masks) > 0 && (r.lost || op.FieldsTruncated > 0):
		return w.unknown(on.name, "FieldsNotRecorded", "the record does not hold all fields of the operation", at)
	case len(s.masks) > 0 && op.Fields == nil && !slices.Equal(namesOf(s.masks), m.before):
		return w.unknown(on.name, "FieldsNotRecorded", "other masks would be in force, and the record does not say which fields the operation is about", at)
	case len(m.before) == 0:
		return w.judgeMasks(m, nil)
	}
	key := operationKey{d.Log, d.Session, d.OperationID}
	if len(w.waiting) >= maxKept {
		for other, first := range w.waiting { // whichever: its result is far away, or missing
			delete(w.waiting, other)
			if err := w.unanswered(first); err != nil {
				return err
			}
			break
		}
	}
	w.waiting[key] = m
	return nil
}

// result judges what waited for it.
func (w *worker) result(d *line) error {
	key := operationKey{d.Log, d.Session, d.OperationID}
	m := w.waiting[key]
	if m == nil {
		return nil
	}
	delete(w.waiting, key)
	if d.Result == nil || d.Result.Outcome != "Succeeded" {
		return w.unanswered(m)
	}
	var r reader
	shown := r.texts(d.Result.MaskedFields)
	if shown == nil {
		shown = []string{}
	}
	return w.judgeMasks(m, shown)
}

// unanswered judges an operation that showed nothing, or of which that is not known: what
// masks of new names would be about can still be told.
func (w *worker) unanswered(m *masked) error { return w.judgeMasks(m, nil) }

// judgeMasks compares masks. Was holds the fields that were masked in the answer; nil
// where there was none.
func (w *worker) judgeMasks(m *masked, was []string) error {
	for _, field := range was {
		found := m.covers(field)
		if len(found) == 0 {
			group := m.group
			group.Change, group.Access, group.Rule = NoLongerMasked, field, noMask
			if err := count(w.tally.groups, group, 1, m.at); err != nil {
				return err
			}
		}
		for i := range found {
			if !m.isNew(found[i]) {
				w.tally.proven[proof{m.group.Connection, field, nameOfMask(&found[i])}] = true
			}
		}
	}
	for _, field := range m.fields {
		found := m.covers(field)
		if len(found) == 0 || m.stayed(field, found, was) {
			continue
		}
		group := m.group
		group.Change, group.Access, group.Rule = MaskedOrRefused, field, strings.Join(namesOf(found), ", ")
		if permissive(found) {
			group.Change = NewlyMasked
		}
		var err error
		if slices.ContainsFunc(found, m.isNew) {
			err = count(w.tally.groups, group, 1, m.at)
		} else {
			err = count(w.tally.suspects, suspect{group, m.maybe(field, found)}, 1, m.at)
		}
		if err != nil {
			return err
		}
	}
	return w.judgeDetectors(m)
}

// judgeDetectors compares what looks into every text, whatever the field.
func (w *worker) judgeDetectors(m *masked) error {
	for i := range m.now {
		mask := &m.now[i]
		if len(mask.Detect) == 0 || !m.isNew(*mask) {
			continue
		}
		group := m.group
		group.Change, group.Access, group.Rule = NewlyMasked, contentPrefix+strings.Join(mask.Detect, ","), mask.Policy+"/"+mask.Name
		if err := count(w.tally.groups, group, 1, m.at); err != nil {
			return err
		}
	}
	return nil
}

// covers are the masks of now that are for a field.
func (m *masked) covers(field string) []policy.Mask {
	var found []policy.Mask
	detector, content := strings.CutPrefix(field, contentPrefix)
	for i := range m.now {
		mask := &m.now[i]
		if content && slices.Contains(mask.Detect, detector) ||
			!content && slices.ContainsFunc(mask.Fields, func(glob string) bool { return overlap(glob, field) }) {
			found = append(found, *mask)
		}
	}
	return found
}

// stayed says that a field was masked then, too, as far as the record tells: it was masked
// in the answer, also by the name of a relative such as a partition, or there is no answer
// to tell by and its masks were in force.
func (m *masked) stayed(field string, found []policy.Mask, was []string) bool {
	return was == nil && !slices.ContainsFunc(found, m.isNew) || slices.ContainsFunc(was, func(shown string) bool {
		covering := m.covers(shown)
		if policy.Match(field, shown) {
			return len(covering) > 0
		}
		return column(field) == column(shown) && slices.ContainsFunc(covering, func(one policy.Mask) bool {
			return slices.ContainsFunc(found, func(other policy.Mask) bool { return one.Policy == other.Policy && one.Name == other.Name })
		})
	})
}

// maybe says of a field that was not masked in the answer, though masks of these names were
// in force, that it may not have been shown either: it is not one that the operation names
// itself, or the masks permit that it but decides which rows come.
func (m *masked) maybe(field string, found []policy.Mask) bool {
	refusing := slices.ContainsFunc(found, func(m policy.Mask) bool { return m.Predicates != policy.AllowPredicates })
	named := slices.ContainsFunc(m.direct, func(resource string) bool { return strings.HasPrefix(field, resource+".") })
	return !refusing || !named || strings.Contains(field, "*")
}

// isNew says that no mask of that name was in force.
func (m *masked) isNew(mask policy.Mask) bool {
	return !slices.Contains(m.before, mask.Policy+"/"+mask.Name)
}

// permissive says that masks refuse nothing: what is derived is masked, and the fields
// may decide which rows come.
func permissive(masks []policy.Mask) bool {
	return !slices.ContainsFunc(masks, func(m policy.Mask) bool {
		return m.Derived != policy.MaskDerived || m.Predicates != policy.AllowPredicates
	})
}

// unmaskable judges an operation that was refused for masks.
func (w *worker) unmaskable(m *masked, now *verdict, op *record.OperationDocument) error {
	all := m.now
	if op.Fields != nil && op.FieldsTruncated == 0 {
		all = nil
		for _, field := range m.fields {
			all = append(all, m.covers(field)...)
		}
		for i := range m.now {
			if len(m.now[i].Detect) > 0 {
				all = append(all, m.now[i])
			}
		}
	}
	switch {
	case len(all) == 0:
		group := m.group
		group.Change, group.Access, group.Rule = NewlyAllowed, accessesText(op), noMask
		if now.Effect == policy.RequireApproval {
			group.Change, group.Rule = NewlyHeld, now.rule
		}
		return count(w.tally.groups, group, 1, m.at)
	case permissive(all):
		return w.unknown(m.group.Connection, "MaskMayPermit", "it was refused because it could not be masked; whether the masks would still refuse it only a proxy can tell", m.at)
	}
	return nil
}

func (w *worker) unknown(connection, reason, detail string, at where) error {
	return count(w.tally.masksUnknown, gapName{reason, connection, detail}, 1, at)
}

// namesOf are the names of masks as records have them.
func namesOf(masks []policy.Mask) []string {
	names := make([]string, len(masks))
	for i := range masks {
		names[i] = nameOfMask(&masks[i])
	}
	return names
}

func nameOfMask(m *policy.Mask) string { return m.Policy + "/" + m.Name }

// overlap says whether two globs, in which '*' stands for any run of characters, have a
// name in common.
func overlap(a, b string) bool {
	if !strings.Contains(b, "*") {
		return policy.Match(a, b)
	}
	// reach[j] says that what was read of a can be what was read of b up to j.
	reach := make([]bool, len(b)+1)
	reach[0] = true
	for j := range len(b) {
		reach[j+1] = reach[j] && b[j] == '*'
	}
	for i := range len(a) {
		next := make([]bool, len(b)+1)
		next[0] = reach[0] && a[i] == '*'
		for j := range len(b) {
			switch {
			case a[i] == '*', b[j] == '*':
				next[j+1] = reach[j+1] || next[j]
			default:
				next[j+1] = reach[j] && a[i] == b[j]
			}
		}
		reach = next
	}
	return reach[len(b)]
}
