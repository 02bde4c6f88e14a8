// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/tail"
)

// recordReader reads what the file sink has received, on from where it was.
type recordReader struct {
	dir string

	mu      sync.Mutex // guards what follows
	lines   tail.Lines
	known   map[string]bool
	session map[string][]record.Document
}

// of returns the records of a user's sessions, by session, in order.
func (r *recordReader) of(user string) (map[string][]record.Document, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.read(); err != nil {
		return nil, err
	}
	found := map[string][]record.Document{}
	for session, documents := range r.session {
		if actor := documents[0].Actor; actor != nil && actor.UserName == user {
			found[session] = slices.Clone(documents)
		}
	}
	return found, nil
}

func (r *recordReader) read() error {
	if r.known == nil {
		r.known, r.session = map[string]bool{}, map[string][]record.Document{}
	}
	return filepath.WalkDir(r.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), ".jsonl") {
			return err
		}
		return r.readFile(path)
	})
}

func (r *recordReader) readFile(path string) error {
	if err := r.lines.Read(path, func(line []byte) error {
		document, err := record.Decode(line)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		// A sink gets a record at least once.
		id := record.Position{LogID: document.Log, Index: document.Index}.ID()
		if document.Session != "" && !r.known[id] {
			r.known[id] = true
			r.session[document.Session] = append(r.session[document.Session], document)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("cannot read the records: %w", err)
	}
	return nil
}
