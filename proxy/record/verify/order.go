// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
)

// fileState is where the last record of a log was seen in a file.
type fileState struct {
	log string
	// first and index are the least and the last record seen, at its place.
	first, index int64
	at           place
}

// maxMisplaced bounds the findings about the order of records in files.
const maxMisplaced = 10

// inOrder checks that the records of each file are in order. A record that
// comes again counts where it came first.
func (v *verification) inOrder(c *checker, g *group) {
	for _, at := range g.places {
		f := &v.files[at.file]
		if f.log != c.id {
			*f = fileState{log: c.id, first: g.index, index: g.index, at: at}
			v.begins(c, *f)
			continue
		}
		if was := f.at; at.before(was) && !v.options.AnyOrder {
			c.misplaced++
			if c.misplaced > maxMisplaced {
				c.report.MoreFindings++
			} else {
				c.find(Finding{
					Verdict: Reordered, First: f.index, Last: g.index, Exact: true, place: &was,
					Sentence: fmt.Sprintf("record %d stands behind record %d", f.index, g.index),
					Remedy:   "the file was changed; where its destination does not keep the order, as several partitions do not, say --any-order",
				})
			}
		}
		f.index, f.at = g.index, at
	}
}

// begins checks a file's first record against the file's name.
func (v *verification) begins(c *checker, f fileState) {
	file := &v.sources.Files[f.at.file]
	want := f.first
	switch {
	case file.IsSegment:
		want = file.Segment
	case file.First != nil && file.First.LogID == c.id:
		want = file.First.Index
	}
	// Where the record is nowhere, that it is missing says enough.
	if want == f.first || want < c.report.First || slices.ContainsFunc(c.report.Findings, func(other Finding) bool {
		return other.Verdict == Missing && other.First <= want && want <= other.Last
	}) {
		return
	}
	c.find(Finding{
		Verdict: Reordered, First: min(want, f.first), Last: max(want, f.first), Exact: true, place: &f.at,
		Sentence: fmt.Sprintf("the file's name says that it begins with record %d, its first is record %d", want, f.first),
		Remedy:   "records were moved from one file to another, or files renamed: take them from another sink",
	})
}
