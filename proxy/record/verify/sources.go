// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record/verify/scan"
)

// ahead is what the log's own checkpoints say of records behind the end.
func (v *verification) ahead(c *checker, stream *stream) ([]state, error) {
	var all []state
	for c.keys != nil {
		m, found, err := stream.nextMark(math.MaxInt64)
		if err != nil || !found {
			return all, err
		}
		signed, err := v.gatherer.signed(m.noted)
		if err != nil {
			return nil, err
		}
		if checkpoint, err := c.keys.Open(signed); err != nil || checkpoint.Size != m.size {
			c.badSignature(m.index, m.place, "checkpoint")
		} else {
			all = []state{{what: fmt.Sprintf("the checkpoint in record %d", m.index), path: v.sources.Files[m.place.file].Path, next: m.size}}
		}
	}
	return nil, nil
}

// states are what the directories of a log say of how far it had got.
func (v *verification) states(id string) []state {
	var all []state
	for number, dir := range v.sources.Dirs {
		end := int64(0)
		for i := range v.files {
			if f := &v.files[i]; v.sources.Files[i].Dir == number && f.log == id {
				end = max(end, f.index+1)
			}
		}
		for name, cursor := range dir.Cursors {
			if cursor.Log == id {
				what := "the cursor of sink " + name
				if own, ok := strings.CutPrefix(name, "_"); ok { // as package spool names its own readers
					what = "the cursor of reader " + own
				}
				all = append(all, state{what: what, path: dir.Path, next: cursor.Next, end: end})
			}
		}
		if w := dir.Witness; w != nil && w.Log == id {
			all = append(all, state{what: "what the witness had acknowledged", path: dir.Path, next: w.Next, end: end})
		}
	}
	slices.SortFunc(all, func(a, b state) int { return strings.Compare(a.what+a.path, b.what+b.path) })
	return all
}

// finish adds what belongs to no log.
func (v *verification) finish() {
	r := v.report
	r.Files = len(v.sources.Files)
	for _, f := range v.sources.Files {
		if f.Records == 0 {
			r.Empty++
		}
	}
	slices.SortFunc(r.Logs, func(a, b LogReport) int { return strings.Compare(a.Log, b.Log) })
	slices.Sort(r.Absent)
	v.unreadable()
	v.emptied()
	if v.options.RequireAll {
		for _, id := range r.Absent {
			r.Findings = append(r.Findings, Finding{
				Verdict: Missing, Log: id, First: 0, Last: -1,
				Sentence: fmt.Sprintf("log %s is missing: the witness knows of it, and none of its records is here", id),
				Remedy:   "get its files from a sink or from the proxy's volume; leave --require-all away where only some logs are to be verified",
			})
		}
	}
	if len(r.Logs) == 0 && len(r.Findings) == 0 {
		r.Findings = append(r.Findings, Finding{
			Verdict: Unreadable, First: -1, Last: -1,
			Sentence: fmt.Sprintf("no record in %d files", r.Files),
			Remedy:   "give the files of a sink, or a log's directory; a record must be as the proxy wrote it, byte by byte",
		})
	}
	r.OK = len(r.All()) == 0
}

// emptied reports directories of logs whose records are all gone, though their
// readers have had some of the last segment.
func (v *verification) emptied() {
	for number, dir := range v.sources.Dirs {
		last := int64(0)
		for _, f := range v.sources.Files {
			if f.Dir == number {
				last = max(last, f.Segment)
			}
		}
		next := map[string]int64{}
		for _, cursor := range dir.Cursors {
			next[cursor.Log] = max(next[cursor.Log], cursor.Next)
		}
		if w := dir.Witness; w != nil {
			next[w.Log] = max(next[w.Log], w.Next)
		}
		for id, next := range next {
			if next <= last || slices.ContainsFunc(v.report.Logs, func(log LogReport) bool { return log.Log == id }) {
				continue
			}
			v.report.Findings = append(v.report.Findings, Finding{
				Verdict: Truncated, Log: id, First: last, Last: next - 1, Exact: true, File: dir.Path,
				Sentence: fmt.Sprintf("%s missing: %s holds no record, and its readers have had %d", are(last, next-1), dir.Path, next),
				Remedy:   "get the log from a sink or from the proxy's own directory",
			})
		}
	}
}

// unreadable reports what could not be read.
func (v *verification) unreadable() {
	r := v.report
	slices.SortFunc(v.sources.Problems, func(a, b scan.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset))
	})
	for _, p := range v.sources.Problems {
		f := v.sources.Files[p.File]
		finding := Finding{
			Verdict: Unreadable, First: p.Index, Last: p.Index, File: f.Path, Offset: p.Offset,
			Sentence: fmt.Sprintf("%s at offset %d: %s", f.Path, p.Offset, p.What),
			Remedy:   "get the file again, or another sink's copy",
		}
		if f.Dir >= 0 {
			finding.Remedy = "the file is damaged or was changed: get it again, or a sink's copy"
		}
		r.Findings = append(r.Findings, finding)
	}
	if n := v.sources.MoreProblems; n > 0 {
		r.Findings = append(r.Findings, Finding{
			Verdict: Unreadable, First: -1, Last: -1,
			Sentence: fmt.Sprintf("%d more places cannot be read", n), Remedy: "see the first ones",
		})
	}
}

// locate names the files that findings are about.
func (v *verification) locate(findings []Finding) {
	const maxLines = 20 // each reads its file again
	for i := range findings {
		f := &findings[i]
		if f.place == nil {
			continue
		}
		f.File, f.Offset = v.sources.Files[f.place.file].Path, f.place.offset
		if i < maxLines {
			f.Line = v.sources.Line(int(f.place.file), f.place.offset)
		}
	}
}
