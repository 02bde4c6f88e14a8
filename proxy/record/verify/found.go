// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"

	"github.com/doorward/doorward/proxy/record/tree"
)

// wrong reports the records that a checkpoint proves to be wrong.
func (c *checker) wrong(b *branch, t trial) {
	standing := map[int64]bool{}
	for _, w := range t.wrong {
		standing[w.at] = w.at >= 0
	}
	for _, w := range t.wrong {
		f := Finding{First: w.index, Last: w.index, Exact: true, place: &w.place}
		if w.at >= 0 {
			f.Verdict = Reordered
			f.Sentence = fmt.Sprintf("record %d is not at its place: it stands at that of record %d", w.index, w.at)
			f.Remedy = "the copy was changed: take these records from another sink or the proxy's own log"
		} else {
			f.Verdict = Edited
			f.Sentence = fmt.Sprintf("record %d is not what was signed", w.index)
			if standing[w.index] {
				f.Verdict = Reordered
				f.Sentence = fmt.Sprintf("record %d is not what was signed: another record's content stands at its place", w.index)
			}
			f.Remedy = "the copy was changed: take this record from another sink or the proxy's own log"
		}
		c.find(f)
	}
	if t.open && len(t.wrong) > 0 && b.good < t.wrong[0].index {
		c.find(Finding{
			Verdict: Edited, First: b.good, Last: t.wrong[0].index - 1,
			Sentence: fmt.Sprintf("%s not proven, as records are missing or changed around them", are(b.good, t.wrong[0].index-1)),
			Remedy:   "take the missing and changed records from another sink, and verify again",
		})
	}
}

// rewritten is a checkpoint that does not hold for reasons that cannot be told.
func (c *checker) rewritten(b *branch, point *tree.Checkpoint) {
	last := point.Size - 1
	if point.Tail == b.last.hash && b.broken >= 0 {
		last = b.broken // what follows is proven by the chain
	}
	first := min(b.good, last)
	sentence := fmt.Sprintf("at least one of %s is not what was signed: the chain was rewritten with it, so the checkpoints at %d and %d say no more", records(first, last), b.good, point.Size)
	if point.Tail == b.last.hash && b.broken < 0 && !b.sealed {
		// The chain is whole from the signed tail to the last checkpoint, and
		// still the root is another: the key has signed what was never the tree.
		c.contradiction(point)
		b.giveUp()
		return
	}
	f := Finding{
		Verdict: Edited, First: first, Last: last, Sentence: sentence,
		Remedy: "compare these records with another sink's; verify the two together, then the first that differs is named",
	}
	c.find(f)
	b.giveUp()
}

// unresolved reports a broken chain that no checkpoint has decided.
func (c *checker) unresolved(b *branch) {
	places := []place{}
	firsts := []int64{}
	for _, i := range b.islands {
		places, firsts = append(places, i.steps[0].place), append(firsts, i.steps[0].index)
	}
	if b.lost {
		firsts = []int64{b.broken}
	}
	for i, first := range firsts {
		f := Finding{
			Verdict: Edited, First: first, Last: first, Exact: true,
			Sentence: fmt.Sprintf("record %d, or record %d which holds its hash, was changed: no checkpoint after them says which", first, first+1),
			Remedy:   "compare them with another sink's",
		}
		if i < len(places) {
			f.place = &places[i]
		}
		c.find(f)
	}
	b.mend()
}

// disputed reports that the witness has the log as in conflict. Only of some of
// its reasons the log's own signature is proof.
func (c *checker) disputed(reason string) {
	f := Finding{Verdict: Forked, First: 0, Last: -1, Remedy: "see the conditions of the AuditLog " + c.id + "; "}
	switch reason {
	case "", "RolledBack", "Forked": // as package controllers/auditlog weighs them
		f.Sentence = "the witness was shown another history of this log, and has it as in conflict"
		f.Remedy += keyRemedy
	default:
		f.Sentence = fmt.Sprintf("the witness has this log as in conflict, for the reason %q, which needs nothing that the log's key signed anew", reason)
		f.Remedy += "where there is no other finding and the AuditLog's size goes on growing it may be a false alarm: find out who wrote to the ConfigMap of submissions"
	}
	c.find(f)
}

func (c *checker) find(f Finding) {
	f.Log = c.id
	if len(c.report.Findings) >= maxFindings {
		c.report.MoreFindings++
		return
	}
	c.report.Findings = append(c.report.Findings, f)
}

func records(first, last int64) string {
	if first == last {
		return fmt.Sprintf("record %d", first)
	}
	return fmt.Sprintf("the records %d to %d", first, last)
}

func are(first, last int64) string {
	if first == last {
		return fmt.Sprintf("record %d is", first)
	}
	return fmt.Sprintf("the records %d to %d are", first, last)
}
