// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/tail"
)

// ReadRecords reads what a file sink has received in a folder: each record once,
// log by log, in the log's order.
func ReadRecords(dir string) ([]record.Document, error) {
	var all []record.Document
	var lines tail.Lines
	known := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), ".jsonl") {
			return err
		}
		return lines.Read(path, func(line []byte) error {
			document, err := record.Decode(line)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			// A sink gets a record at least once.
			id := record.Position{LogID: document.Log, Index: document.Index}.ID()
			if !known[id] {
				known[id] = true
				all = append(all, document)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the records: %w", err)
	}
	slices.SortFunc(all, func(a, b record.Document) int {
		return cmp.Or(strings.Compare(a.Log, b.Log), cmp.Compare(a.Index, b.Index))
	})
	return all, nil
}

// Complete says where records, as ReadRecords returns them, lack one between
// their log's first and the last that is there.
func Complete(all []record.Document) error {
	var want record.Position
	for _, document := range all {
		if document.Log != want.LogID {
			want = record.Position{LogID: document.Log}
		}
		if document.Index != want.Index {
			return fmt.Errorf("record %d of log %s stands where record %d should", document.Index, document.Log, want.Index)
		}
		want.Index++
	}
	return nil
}
