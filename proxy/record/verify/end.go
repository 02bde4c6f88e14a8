// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"
)

// state is what a log's directory says of how far the log had got.
type state struct {
	// what names it, path is the directory.
	what, path string
	next       int64
	// end is the index behind the last record in that directory.
	end int64
}

// end judges the log when all of it is seen: what its end means, which of two
// histories is the log's, which doubts remain.
func (c *checker) end(states []state, from int64, strict bool) {
	if c.report.First > from {
		c.find(Finding{
			Verdict: Missing, First: from, Last: c.report.First - 1, Exact: true,
			Sentence: fmt.Sprintf("%s missing: the copy begins with record %d", are(from, c.report.First-1), c.report.First),
			Remedy:   fmt.Sprintf("give the sinks' files that hold them too; where only what comes after them is to be verified, say --from %d", c.report.First),
		})
	}
	for _, b := range c.branches {
		c.unresolved(b)
	}
	c.judgeDoubts()
	c.judgeForks()
	c.judgeEnd(states)
	c.report.Closed = c.closed > 0 && c.closed == c.next-1
	c.judgeSignatures()
	if strict && c.report.Trusted == 0 && len(c.report.Findings) == 0 {
		c.unknown()
	}
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int { return cmp.Compare(a.First, b.First) })
	c.summarize()
}

// judgeDoubts decides what a trusted checkpoint with another root means: where
// the log's own later checkpoint holds, the log's key has signed two histories.
func (c *checker) judgeDoubts() {
	for _, d := range c.doubts {
		if c.accepted.Size >= d.Size {
			c.find(Finding{
				Verdict: Forked, First: d.believed, Last: d.Size - 1, TrustedSize: d.Size,
				Sentence: fmt.Sprintf("this is another history of the log than the one of the checkpoint from %s: they part within %s", d.Source, records(d.believed, d.Size-1)),
				Remedy:   "verify this copy together with one that agrees with the checkpoint, then the first record that differs is named; " + keyRemedy,
			})
			continue
		}
		c.find(Finding{
			Verdict: Edited, First: d.since, Last: d.Size - 1, TrustedSize: d.Size,
			Sentence: fmt.Sprintf("at least one of %s is not what the checkpoint from %s covers", records(d.since, d.Size-1), d.Source),
			Remedy:   "compare these records with another sink's; verify the two together, then the first that differs is named",
		})
	}
}

// judgeForks decides which of two histories is signed.
func (c *checker) judgeForks() {
	for _, f := range c.forks {
		a, b := f.a.signed > f.index, f.b.signed > f.index
		finding := Finding{First: f.index, Last: f.index, Exact: true, place: &f.b.from}
		switch {
		case a != b:
			if b {
				finding.place = &f.a.from
			}
			finding.Verdict = Edited
			finding.Sentence = fmt.Sprintf("record %d is not what was signed: the one that was is also here", f.index)
			finding.Remedy = "rely on the other file; find out who could write to this one"
		case a:
			finding.Verdict = Forked
			finding.Sentence = fmt.Sprintf("the log has two signed histories, which part at record %d", f.index)
			finding.Remedy = keyRemedy
		default:
			finding.Verdict = Forked
			finding.Sentence = fmt.Sprintf("there are two different records %d, and no checkpoint here says which is the log's", f.index)
			finding.Remedy = "verify each source by itself with a checkpoint of the witness, which belongs to one of them only"
		}
		c.find(finding)
	}
}

// judgeEnd decides what it means that there should be more records.
func (c *checker) judgeEnd(states []state) {
	size, source := int64(0), ""
	for _, t := range c.trusted {
		if t.Size > size {
			size, source = t.Size, "the checkpoint from "+t.Source
		}
	}
	older := c.closed > 0 && c.closed == c.next-1
	cut := false
	for _, s := range states {
		switch {
		case s.next > c.next:
			cut = true
			if s.next > size {
				size, source = s.next, s.what+" in "+s.path
			}
		case s.end == c.next && s.next >= c.report.Consistent && s.next > 0:
			older = true
		}
	}
	if size <= c.next {
		return
	}
	f := Finding{Verdict: Truncated, First: c.next, Last: size - 1, Exact: true, TrustedSize: size}
	f.Sentence = fmt.Sprintf("%s missing at the end: %s knows of %d records", are(c.next, size-1), source, size)
	f.Remedy = "get the end of the log from a sink or from the proxy's own log"
	if older && !cut {
		f.Verdict = RolledBack
		f.Sentence = fmt.Sprintf("an older state of the log stands here: it ends whole with record %d, and %s knows of %d records", c.next-1, source, size)
		f.Remedy = "do not start a proxy on it, which would fork the log; get the later records from a sink, and find out who restored the older state"
	}
	c.find(f)
}

// judgeSignatures reports what is not properly signed, but for records that are
// known to be changed.
func (c *checker) judgeSignatures() {
	for _, f := range c.bad {
		known := slices.ContainsFunc(c.report.Findings, func(other Finding) bool {
			return (other.Verdict == Edited || other.Verdict == Reordered) && other.First <= f.First && f.First <= other.Last
		})
		if !known {
			c.find(f)
		}
	}
	switch {
	case c.report.Consistent > 0 || len(c.report.Findings) > 0:
	case c.keys == nil:
		c.find(Finding{
			Verdict: Unsigned, First: c.report.First, Last: c.next - 1,
			Sentence: "no checkpoint here names the log's first key, so nothing is proven",
			Remedy:   "give files that hold a checkpoint of this log, or the witness's export with --checkpoint, which holds the keys",
		})
	default:
		c.find(Finding{
			Verdict: Unsigned, First: c.report.First, Last: c.next - 1,
			Sentence: "no checkpoint covers these records, so nothing is proven",
			Remedy:   "give files that reach to the next checkpoint, at most a second later, or a checkpoint with --checkpoint",
		})
	}
}

// unknown is a log of which nothing that is trusted says that it is one of
// those that were to be verified: anybody can make a log with a key of their own.
func (c *checker) unknown() {
	c.find(Finding{
		Verdict: Unsigned, First: c.report.First, Last: c.next - 1,
		Sentence: "no trusted checkpoint is of these records, so nothing says that a proxy wrote them",
		Remedy:   "give the witness's checkpoints of this log too: from all namespaces, and newer than the log's beginning; where the witness does not know it, find out who made it",
	})
}

// summarize says in a sentence what is known of the log.
func (c *checker) summarize() {
	r := c.report
	tail := ""
	if n := r.Records - r.Consistent; n > 0 && r.Consistent > 0 {
		tail = fmt.Sprintf("; %d after them are not signed yet", n)
		if c.closed == r.Records-1 && c.closed > 0 {
			tail = "; the log was closed in order"
		}
	}
	switch {
	case len(r.Findings) > 0:
		f := r.Findings[0]
		r.Summary = fmt.Sprintf("%s: %s", f.Verdict, f.Sentence)
	case r.Trusted > 0:
		by := "the trusted checkpoint"
		if r.Witnessed {
			by = "the witness"
		}
		r.Summary = fmt.Sprintf("consistent up to %d%s; agrees with %s up to %d", r.Consistent, tail, by, r.Trusted)
	case len(c.trusted) > 0:
		r.Summary = fmt.Sprintf("consistent up to %d%s; tail, rollback and fork not excluded, as the trusted checkpoints are of the records before these", r.Consistent, tail)
	default:
		r.Summary = fmt.Sprintf("consistent up to %d%s; tail, rollback and fork not excluded, as no trusted checkpoint was given", r.Consistent, tail)
	}
}
