// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// seen is what an independent reader makes of a directory's records: all
// hashes of the tree, kept as package tlog does, the log's keys as the records
// introduce them, and the checkpoints.
type seen struct {
	stored      []tlog.Hash
	leaves      []tlog.Hash
	keys        *tree.Keys
	checkpoints []tree.Checkpoint
}

func (s *seen) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, i := range indexes {
		hashes = append(hashes, s.stored[i])
	}
	return hashes, nil
}

func (s *seen) tree(t *testing.T, size int64) tlog.Tree {
	t.Helper()
	root, err := tlog.TreeHash(size, s)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// check reads all records of a directory that begins with record 0 and checks
// the chain, the tree, the keys and each checkpoint. first is the log's first
// key. A torn tail ends it.
func check(t *testing.T, dir, first string) *seen {
	t.Helper()
	s := &seen{}
	name, _, _ := strings.Cut(first, "+")
	var err error
	if s.keys, err = tree.NewKeys(strings.TrimPrefix(name, tree.OriginPrefix), first); err != nil {
		t.Fatal(err)
	}
	previous := tlog.Hash{}
	for r, err := range Records(dir) {
		if errors.Is(err, ErrTorn) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := record.Decode(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if d.Previous != previous {
			t.Fatalf("record %d continues %v, want %v", d.Index, d.Previous, previous)
		}
		if r := d.Rotation; r != nil {
			if err := s.keys.Follow(r.Note); err != nil || s.keys.Current() != r.Key || s.keys.Since() != d.Index {
				t.Fatalf("record %d rotates the key: %v", d.Index, err)
			}
		}
		if d.Type == record.Checkpoint {
			s.checkpoint(t, &d)
		}
		previous = tlog.RecordHash(r.JSON)
		hashes, err := tlog.StoredHashesForRecordHash(d.Index, previous, s)
		if err != nil {
			t.Fatal(err)
		}
		s.stored, s.leaves = append(s.stored, hashes...), append(s.leaves, previous)
	}
	return s
}

func (s *seen) checkpoint(t *testing.T, d *record.Document) {
	t.Helper()
	c, err := s.keys.Open(d.Checkpoint.Note)
	if err != nil {
		t.Fatalf("record %d: %v", d.Index, err)
	}
	// No old key has a word after the rotation.
	last, err := note.NewVerifier(s.keys.Current())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Open(d.Checkpoint.Note, note.VerifierList(last)); err != nil {
		t.Fatalf("record %d: %v", d.Index, err)
	}
	if c.Size != d.Checkpoint.Size || c.Size > d.Index {
		t.Fatalf("record %d: checkpoint of %d records, said to be of %d", d.Index, c.Size, d.Checkpoint.Size)
	}
	if c.Tree() != s.tree(t, c.Size) || c.Tail != s.leaves[c.Size-1] {
		t.Fatalf("record %d: checkpoint %+v, want tree %+v, tail %v", d.Index, c, s.tree(t, c.Size), s.leaves[c.Size-1])
	}
	s.checkpoints = append(s.checkpoints, c)
}
