// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/doorward/doorward/proxy/record/tree"
)

// Trusted is a checkpoint from a place that whoever may have changed the log
// could not write to, such as what the witness holds.
type Trusted struct {
	// Log is the log's id; where empty, the note's own word for it.
	Log string
	// Note is the signed checkpoint. It may be empty where a witness knows the
	// log and has no checkpoint of it yet.
	Note string
	// Keys are the log's keys as note verifiers, oldest first, and Rotations the
	// notes by which each names the next. They may be empty: then the keys are
	// those of the log's records.
	Keys, Rotations []string
	// Conflict says that the witness was shown what excludes what it holds of the
	// log, Reason in a word what; Reason may be empty.
	Conflict bool
	Reason   string
	// Source says where it is from.
	Source string
}

// trustedPoint is a trusted checkpoint whose signature holds.
type trustedPoint struct {
	tree.Checkpoint
	Witnessed bool
	Source    string
}

// ErrTrust is wrapped by errors for trusted checkpoints that cannot be used.
var ErrTrust = errors.New("trusted checkpoint not usable")

// logOf is the id of the log that a trusted checkpoint is of.
func (t *Trusted) logOf() (string, error) {
	first, _, _ := strings.Cut(t.Note, "\n")
	id, ok := strings.CutPrefix(first, tree.OriginPrefix)
	switch {
	case t.Note == "" && t.Log != "":
		return t.Log, nil
	case !ok:
		return "", fmt.Errorf("%w: %s: its first line is not %q and a log id", ErrTrust, t.Source, tree.OriginPrefix)
	case t.Log != "" && t.Log != id:
		return "", fmt.Errorf("%w: %s: log %q holds a checkpoint of log %q", ErrTrust, t.Source, t.Log, id)
	}
	return id, nil
}

// keysOf are the keys of a log: from what is trusted, then from its records.
// Rotations that do not hold are returned. Keys are nil where the first is not
// known.
func keysOf(info *logInfo, trusted []*Trusted) (keys *tree.Keys, bad []rotation, err error) {
	for _, t := range trusted {
		if len(t.Keys) == 0 {
			continue
		}
		k, err := tree.NewKeys(info.id, t.Keys[0])
		for _, r := range t.Rotations {
			if err == nil {
				err = k.Follow(r)
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %s: keys of log %q: %w", ErrTrust, t.Source, info.id, err)
		}
		if keys == nil || len(k.Texts()) > len(keys.Texts()) {
			keys = k
		}
	}
	if keys == nil {
		if info.first == "" {
			return nil, nil, nil
		}
		if keys, err = tree.NewKeys(info.id, info.first); err != nil {
			return nil, nil, err
		}
	}
	known := keys.Rotations()
	slices.SortFunc(info.rotations, func(a, b rotation) int { return cmp.Compare(a.index, b.index) })
	for _, r := range info.rotations {
		if slices.Contains(known, r.note) || slices.Contains(keys.Rotations(), r.note) {
			continue // from the trusted ones, or a repetition
		}
		next := keys.Clone()
		if err := next.Follow(r.note); err != nil || next.Since() != r.index {
			bad = append(bad, r)
			continue
		}
		keys = next
	}
	return keys, bad, nil
}

// pointsOf opens the trusted checkpoints of a log.
func pointsOf(trusted []*Trusted, keys *tree.Keys, witness note.Verifiers) ([]trustedPoint, error) {
	var points []trustedPoint
	for _, t := range trusted {
		if t.Note == "" {
			continue
		}
		if keys == nil {
			return nil, fmt.Errorf("%w: %s: the log's keys are not known: give files with a checkpoint of the log's beginning, or the witness's whole export", ErrTrust, t.Source)
		}
		checkpoint, err := keys.Open(t.Note)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrTrust, t.Source, err)
		}
		point := trustedPoint{Checkpoint: checkpoint, Source: t.Source}
		if witness != nil {
			if _, err := note.Open([]byte(t.Note), witness); err != nil {
				return nil, fmt.Errorf("%w: %s: checkpoint of log %q not signed by the witness: %w", ErrTrust, t.Source, keys.LogID(), err)
			}
			point.Witnessed = true
		}
		points = append(points, point)
	}
	slices.SortStableFunc(points, func(a, b trustedPoint) int { return cmp.Compare(a.Size, b.Size) })
	return points, nil
}
