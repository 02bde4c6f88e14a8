// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/test/account"
	"github.com/doorward/doorward/test/tail"
)

// trail is what one log has on record, read from the proxy's disk and from what
// the sink has received, which must agree.
type trail struct {
	// disk is the log's folder, sink that of what the sink has received.
	disk, sink string
	mark       *regexp.Regexp

	log  string
	seed maphash.Seed
	// sums are of the records seen so far, sent which of them the sink has.
	sums map[int64]uint64
	sent map[int64]bool
	// lines are those of the sink's files that were read.
	lines tail.Lines

	// recorded is how often each mark was let through on record, succeeded how
	// often it is said to have been executed well.
	recorded, succeeded map[string]int
	// results and ends are how often there is one for each operation let through
	// and each session.
	results map[operation]int
	ends    map[string]int
	marks   map[operation]string
	// recoveries are in the log's order.
	recoveries []record.Document
	starts     int
	// torn is how often the log on disk ended in an incomplete group.
	torn int
	// last is the time of the newest record, back by how much a record's time was
	// before that of an earlier one, at most.
	last time.Time
	back time.Duration
}

type operation struct {
	session string
	id      uint64
}

func newTrail(disk, sink, label string) *trail {
	return &trail{
		disk: disk, sink: sink, mark: account.Marks(label), seed: maphash.MakeSeed(),
		sums: map[int64]uint64{}, sent: map[int64]bool{},
		recorded: map[string]int{}, succeeded: map[string]int{},
		results: map[operation]int{}, ends: map[string]int{}, marks: map[operation]string{},
	}
}

// read goes on where it left off: first what the sink has, as the log on disk
// may be without it by now.
func (a *trail) read() error {
	if a.log == "" {
		for first, err := range spool.Records(a.disk) {
			if err != nil {
				return fmt.Errorf("cannot read the log: %w", err)
			}
			a.log = first.Position.LogID
			break
		}
	}
	if err := a.readSink(); err != nil {
		return err
	}
	return a.readSpool()
}

// readSpool reads the directory of a proxy that does not run.
func (a *trail) readSpool() error {
	for r, err := range spool.Records(a.disk) {
		if errors.Is(err, spool.ErrTorn) {
			a.torn++
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the log: %w", err)
		}
		if err := a.take(r.Position, r.JSON); err != nil {
			return err
		}
	}
	return nil
}

// readSink reads the whole lines that the sink has written since the last time.
func (a *trail) readSink() error {
	paths, err := a.sinkFiles()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := a.readSinkFile(path); err != nil {
			return err
		}
	}
	return nil
}

// sinkFiles are the files of the log in the sink, in order.
func (a *trail) sinkFiles() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(a.sink, a.log+"-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the sink: %w", err)
	}
	slices.Sort(paths)
	return paths, nil
}

func (a *trail) readSinkFile(path string) error {
	if err := a.lines.Read(path, func(line []byte) error {
		position, err := record.Head(line)
		if err != nil {
			return err
		}
		if err := a.take(position, line); err != nil {
			return err
		}
		if n := int64(len(a.sent)); position.Index > n {
			return fmt.Errorf("record %d comes when the sink has the first %d only", position.Index, n)
		}
		a.sent[position.Index] = true
		return nil
	}); err != nil {
		return fmt.Errorf("cannot read the sink: %s: %w", path, err)
	}
	return nil
}

// take enters a record, unless it was seen before; then it must be the same.
func (a *trail) take(position record.Position, json []byte) error {
	if position.LogID != a.log {
		return fmt.Errorf("record %s is in the directory of log %s", position.ID(), a.log)
	}
	sum := maphash.Bytes(a.seed, json)
	if seen, found := a.sums[position.Index]; found {
		if seen != sum {
			return fmt.Errorf("record %d was another before: %s", position.Index, json)
		}
		return nil
	}
	a.sums[position.Index] = sum
	d, err := record.Decode(json)
	if err != nil {
		return err
	}
	a.enter(&d)
	return nil
}

func (a *trail) enter(d *record.Document) {
	if a.last.Sub(d.Time) > a.back {
		a.back = a.last.Sub(d.Time)
	}
	a.last = d.Time
	key := operation{d.Session, d.OperationID}
	switch d.Type {
	default: // nothing to account for
	case record.ProxyStart:
		a.starts++
	case record.Recovery:
		a.recoveries = append(a.recoveries, *d)
	case record.SessionStart:
		a.ends[d.Session] += 0
	case record.SessionEnd:
		a.ends[d.Session]++
	case record.OperationDecided:
		if d.Decision == nil || d.Decision.Effect != "Allow" || d.Operation == nil {
			return
		}
		a.results[key] += 0
		if text := a.mark.FindString(d.Operation.Statement); text != "" {
			a.recorded[text]++
			a.marks[key] = text
		}
	case record.OperationResult:
		a.results[key]++
		if text := a.marks[key]; text != "" && d.Result != nil && d.Result.Outcome == "Succeeded" {
			a.succeeded[text]++
		}
	}
}

// whole says what is wrong with a log whose proxy has nothing left to do: gaps,
// operations without exactly one result, sessions without exactly one end,
// records that the sink has not got.
func (a *trail) whole() error {
	for i := range int64(len(a.sums)) {
		if _, found := a.sums[i]; !found {
			return fmt.Errorf("record %d of %d is missing", i, len(a.sums))
		}
	}
	if missing := len(a.sums) - len(a.sent); missing > 0 {
		return fmt.Errorf("the sink has not got %d of %d records", missing, len(a.sums))
	}
	for key, n := range a.results {
		if n != 1 {
			return fmt.Errorf("operation %d of session %s has %d results, want one", key.id, key.session, n)
		}
	}
	for session, n := range a.ends {
		if n != 1 {
			return fmt.Errorf("session %s has %d ends, want one", session, n)
		}
	}
	return nil
}
