// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify/scan"
)

// Options say what to hold the records against.
type Options struct {
	// Trusted are checkpoints from elsewhere, above all of the witness.
	Trusted []Trusted
	// Witness, where not nil, has the keys of which one must have signed every
	// trusted checkpoint.
	Witness note.Verifiers
	// RequireAll makes it a finding where a trusted log has no record here, and
	// where a log here agrees with no trusted checkpoint.
	RequireAll bool
	// From is the index of the first record that must be there.
	From int64
	// AnyOrder accepts files whose records are not in the order of the log.
	AnyOrder bool
	// Workers is the number of goroutines; that of the processors where zero.
	Workers int
	// TempDir is for temporary files, about a tenth of the records' size; the
	// system's where empty.
	TempDir string
	// Progress, where not nil, is told how many bytes of how many are read.
	Progress func(done, total int64)
}

// Verify verifies all logs that have records in files and directories. Errors
// are those of the options and the system; what is wrong with a log is in the
// report.
func Verify(ctx context.Context, paths []string, options Options) (report *Report, err error) {
	if options.Workers == 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	sources, err := scan.Find(paths)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(options.TempDir, "doorward-verify-")
	if err != nil {
		return nil, fmt.Errorf("cannot verify: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, err := newGatherer(dir, options.Workers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := scan.Scan(ctx, sources, scan.Options{Workers: options.Workers, Progress: options.Progress}, g.add); err != nil {
		return nil, err
	}
	v := &verification{options: options, sources: sources, gatherer: g, files: make([]fileState, len(sources.Files)), work: work{most: freeBytes + sources.Bytes}, report: &Report{}}
	if err := v.run(ctx); err != nil {
		return nil, err
	}
	return v.report, nil
}

// verification holds the records that were found against each other.
type verification struct {
	options  Options
	sources  *scan.Sources
	gatherer *gatherer
	trusted  map[string][]*Trusted
	files    []fileState
	work     work
	report   *Report
}

func (v *verification) run(ctx context.Context) error {
	if err := v.trust(); err != nil {
		return err
	}
	stream, err := newStream(v.gatherer)
	if err != nil {
		return err
	}
	for err == nil && stream.nextLog() {
		err = v.log(ctx, stream)
	}
	if err := errors.Join(err, stream.close()); err != nil {
		return err
	}
	v.finish()
	return nil
}

// trust sorts the trusted checkpoints by log.
func (v *verification) trust() error {
	v.trusted = map[string][]*Trusted{}
	for i := range v.options.Trusted {
		t := &v.options.Trusted[i]
		id, err := t.logOf()
		if err != nil {
			return err
		}
		v.trusted[id] = append(v.trusted[id], t)
		if _, here := v.gatherer.numbers[id]; !here && !slices.Contains(v.report.Absent, id) {
			v.report.Absent = append(v.report.Absent, id)
		}
	}
	return nil
}

// log verifies the records of one log.
func (v *verification) log(ctx context.Context, stream *stream) error {
	info := v.gatherer.logs[stream.log]
	trusted := v.trusted[info.id]
	keys, bad, err := keysOf(info, trusted)
	if err != nil {
		return err
	}
	points, err := pointsOf(trusted, keys, v.options.Witness)
	if err != nil {
		return err
	}
	s := &search{sources: v.sources, prefix: record.HeadPrefix(info.id), known: map[place][]byte{}, work: &v.work}
	c := &checker{id: info.id, report: &LogReport{Log: info.id}, keys: keys, trusted: points, moved: s.moved}
	if keys != nil {
		c.report.Keys = len(keys.Texts())
	}
	for _, r := range bad {
		c.badSignature(r.index, r.place, "key rotation")
	}
	for _, t := range trusted {
		if t.Conflict {
			c.disputed(t.Reason)
		}
	}
	points = slices.Clone(points)
	for count := 0; ; count++ {
		if count%(1<<16) == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		group, err := stream.nextGroup()
		if err != nil {
			return err
		}
		if group == nil {
			break
		}
		if points, err = v.checkpoints(c, stream, points); err != nil {
			return err
		}
		c.report.Repeated += group.repeated
		c.report.BrokenLines += group.brokenLines
		c.record(group.variants)
		v.inOrder(c, group)
	}
	if len(c.branches) == 0 { // nothing but a line broken off
		if trusted != nil {
			v.report.Absent = append(v.report.Absent, info.id)
		}
		return nil
	}
	if _, err = v.checkpoints(c, stream, points); err != nil {
		return err
	}
	states := v.states(info.id)
	ahead, err := v.ahead(c, stream)
	if err != nil {
		return err
	}
	states = append(states, ahead...)
	c.end(states, v.options.From, v.options.RequireAll)
	v.locate(c.report.Findings)
	v.report.Logs = append(v.report.Logs, *c.report)
	return nil
}

// checkpoints checks the checkpoints of as many records as were seen: those in
// the records, then the trusted ones.
func (v *verification) checkpoints(c *checker, stream *stream, points []trustedPoint) ([]trustedPoint, error) {
	for {
		m, found, err := stream.nextMark(c.next)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		if c.keys == nil {
			continue
		}
		signed, err := v.gatherer.signed(m.noted)
		if err != nil {
			return nil, err
		}
		checkpoint, err := c.keys.Open(signed)
		if err != nil || checkpoint.Size != m.size {
			c.badSignature(m.index, m.place, "checkpoint")
			continue
		}
		if checkpoint.Size == c.next && len(c.branches) > 0 {
			c.checkpoint(&checkpoint, nil)
		}
	}
	for len(points) > 0 && points[0].Size <= c.next {
		if points[0].Size == c.next && len(c.branches) > 0 {
			c.checkpoint(&points[0].Checkpoint, &points[0])
		}
		points = points[1:]
	}
	return points, nil
}

func (c *checker) badSignature(index int64, at place, what string) {
	if len(c.bad) >= maxFindings {
		c.report.MoreFindings++
		return
	}
	c.bad = append(c.bad, Finding{
		Verdict: BadSignature, Log: c.id, First: index, Last: index, Exact: true, place: &at,
		Sentence: fmt.Sprintf("the %s in record %d is not signed by the log's key of its time", what, index),
		Remedy:   "somebody without the log's key made it, or damaged it: take this record from another sink or the proxy's own log",
	})
}

func parseTime(text []byte) (time.Time, error) { return time.Parse(time.RFC3339Nano, string(text)) }
