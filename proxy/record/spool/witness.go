// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/witness"
)

const witnessFile = "witness"

// witnessReader is the reader by which what the witness has not seen is kept.
var witnessReader = ReaderName(witnessFile)

// maxPoints bounds the checkpoints that were submitted and may be what the
// witness holds. Others are found again in the records on disk.
const maxPoints = 8

// Witness is the log's side of its witness: the latest checkpoint, and the
// proof that it continues the one that the witness holds. It keeps subtrees
// only, so its size does not grow with the log. Safe for concurrent use.
type Witness struct {
	log *Log

	mu sync.Mutex
	// base begins at 0; points follow it without gaps. The last is of the
	// latest checkpoint. passed follows: records after it that were in a
	// snapshot of which no checkpoint was made.
	base   tree.Range
	points []point
	passed tree.Range
	// held is the tree that the witness has acknowledged, as it is on disk.
	held    tree.Range
	changed chan struct{}
}

// point is a checkpoint.
type point struct {
	// since is of the records after the point before.
	since      tree.Range
	checkpoint tree.Checkpoint
	note       string
	submitted  bool
}

type witnessDocument struct {
	Log  string      `json:"log"`
	Tree *tree.Range `json:"tree"`
}

// Witness returns the log's side of its witness.
func (l *Log) Witness() *Witness { return l.witness }

// openWitness reads what the witness has acknowledged. whole is the tree of
// all records there are.
func openWitness(l *Log, whole *tree.Range) (*Witness, error) {
	w := &Witness{log: l, base: whole.Clone(), passed: tree.NewRange(whole.End()), changed: make(chan struct{})}
	path := filepath.Join(l.options.Dir, witnessFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, err
	}
	d := witnessDocument{}
	if err := json.Unmarshal(data, &d); err != nil || d.Log != l.identity.id || d.Tree == nil || d.Tree.Begin() != 0 {
		return nil, fmt.Errorf("%w: %q is not of log %s: restore it from a copy, or remove it", ErrCorrupt, path, l.identity.id)
	}
	if held := d.Tree.End(); held > whole.End() {
		return nil, fmt.Errorf("%w: records %d to %d are missing, the witness has acknowledged them: restore the directory from a copy, or move it away to begin a new log and keep it as evidence",
			ErrCorrupt, whole.End(), held-1)
	}
	w.held = *d.Tree
	return w, nil
}

// pass has records follow that no checkpoint was made of.
func (w *Witness) pass(since *tree.Range) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if since.End() > w.passed.End() {
		// Both come from the writer in order, so they are adjacent.
		_ = w.passed.Merge(since)
	}
}

// add has a checkpoint follow.
func (w *Witness) add(since *tree.Range, c tree.Checkpoint, signed string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.passed.Clone()
	_ = all.Merge(since) // adjacent, as above
	w.passed = tree.NewRange(all.End())
	if n := len(w.points); n > 0 && !w.points[n-1].submitted {
		last := w.points[n-1].since
		_ = last.Merge(&all)
		all, w.points = last, w.points[:n-1]
	}
	if len(w.points) > maxPoints {
		first := w.points[0].since
		_ = first.Merge(&w.points[1].since)
		w.points[1].since = first
		w.points = w.points[1:]
	}
	w.points = append(w.points, point{since: all, checkpoint: c, note: signed})
	close(w.changed)
	w.changed = make(chan struct{})
}

// Changed is closed when there is a newer checkpoint than at the call.
func (w *Witness) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Latest is the newest checkpoint; false where none was made since Open.
func (w *Witness) Latest() (tree.Checkpoint, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.points) == 0 {
		return tree.Checkpoint{}, false
	}
	return w.points[len(w.points)-1].checkpoint, true
}

// Held is the number of records that the witness has acknowledged.
func (w *Witness) Held() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held.End()
}

// Submission is what to submit to a witness that holds the given tree, zero
// where it holds none: all but the instance's name. Errors wrap
// ErrNoCheckpoint where there is none to submit, and ErrConflict where the log
// does not continue the tree, which no retry repairs.
func (w *Witness) Submission(held tlog.Tree) (witness.Submission, error) {
	keys := w.log.Keys()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.points) == 0 {
		return witness.Submission{}, ErrNoCheckpoint
	}
	s := witness.Submission{Log: w.log.identity.id, Key: keys.First(), Rotations: keys.Rotations(), From: held.N}
	s.Rotations = s.Rotations[max(0, len(s.Rotations)-witness.MaxRotations):]
	if held.N != 0 {
		old, since, err := w.split(held)
		if err != nil {
			return witness.Submission{}, err
		}
		if s.Proof, err = tree.Prove(&old, &since); err != nil {
			return witness.Submission{}, err
		}
	}
	last := &w.points[len(w.points)-1]
	last.submitted = true
	s.Checkpoint = last.note
	return s, nil
}

// Acknowledged says that the witness holds a tree of this log. What it holds
// is on disk when Acknowledged returns nil, and the records before it need not
// be kept for it any more. Errors are those of Submission.
func (w *Witness) Acknowledged(held tlog.Tree) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if held.N == 0 {
		return nil
	}
	if len(w.points) == 0 {
		return ErrNoCheckpoint
	}
	old, since, err := w.split(held)
	if err != nil {
		return err
	}
	if held.N <= w.held.End() {
		return nil
	}
	data, err := json.Marshal(witnessDocument{Log: w.log.identity.id, Tree: &old})
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(w.log.options.Dir, witnessFile), append(data, '\n')); err != nil {
		return fmt.Errorf("cannot keep what the witness holds: %w", err)
	}
	w.held = old.Clone()
	w.forget(old, since)
	return w.log.witnessed(held.N)
}

// split returns the tree that the witness holds, and that of the records after
// it which the latest checkpoint covers.
func (w *Witness) split(held tlog.Tree) (old, since tree.Range, err error) {
	latest := w.points[len(w.points)-1].checkpoint.Size
	if held.N > latest {
		return old, since, fmt.Errorf("%w: it holds %d records of log %s, here are %d: the log was replaced by an older copy, or another instance goes on with it",
			ErrConflict, held.N, w.log.identity.id, latest)
	}
	old, since, known, err := w.splitPoints(held.N)
	if err == nil && !known {
		old, since, err = w.log.readRanges(held.N, latest, &w.held)
		switch {
		case errors.Is(err, ErrGone):
			err = fmt.Errorf("%w: it holds %d records of log %s, and has acknowledged more before, up to which records were deleted: %w",
				ErrConflict, held.N, w.log.identity.id, err)
		case err == nil:
			// Only now known, and likely to be asked for again.
			w.forget(old, since)
		}
	}
	if err != nil {
		return old, since, err
	}
	root, err := old.Root()
	if err != nil {
		return old, since, err
	}
	if root != held.Hash {
		return old, since, fmt.Errorf("%w: it holds root %s for the first %d records of log %s, here it is %s: the records are not those it has seen",
			ErrConflict, held.Hash, held.N, w.log.identity.id, root)
	}
	return old, since, nil
}

// splitPoints splits at the end of base or of a point.
func (w *Witness) splitPoints(size int64) (old, since tree.Range, known bool, err error) {
	old = w.base.Clone()
	since = tree.NewRange(old.End())
	known = old.End() == size
	for i := range w.points {
		to := &since
		if !known {
			to = &old
		}
		if err := to.Merge(&w.points[i].since); err != nil {
			return old, since, false, err
		}
		if !known {
			known = old.End() == size
			since = tree.NewRange(old.End())
		}
	}
	return old, since, known, nil
}

// forget keeps only old and the latest checkpoint.
func (w *Witness) forget(old, since tree.Range) {
	last := w.points[len(w.points)-1]
	w.base = old.Clone()
	last.since = since.Clone()
	w.points = append(w.points[:0], last)
}

// witnessed moves the reader that stands for the witness, where it counts.
func (l *Log) witnessed(size int64) error {
	l.places.Lock()
	c := l.cursors[witnessReader]
	l.places.Unlock()
	if c == nil {
		return nil
	}
	err := c.advance(size, l.options.Now())
	signal(l.keep)
	return err
}
