// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/record"
)

// records are what the file sink has received, each once, in the log's order.
func records() ([]record.Document, error) {
	var all []record.Document
	known := map[string]bool{}
	err := filepath.WalkDir(world.Records(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), ".jsonl") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(content) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break // still being written
			}
			document, err := record.Decode(bytes.TrimSpace(line))
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			// A sink gets a record at least once.
			id := record.Position{LogID: document.Log, Index: document.Index}.ID()
			if !known[id] {
				known[id] = true
				all = append(all, document)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the records: %w", err)
	}
	slices.SortFunc(all, func(a, b record.Document) int {
		return cmp.Or(strings.Compare(a.Log, b.Log), cmp.Compare(a.Index, b.Index))
	})
	return all, nil
}

// found is the last record that matches.
func found(match func(record.Document) bool) (record.Document, error) {
	all, err := records()
	if err != nil {
		return record.Document{}, err
	}
	for _, document := range slices.Backward(all) {
		if match(document) {
			return document, nil
		}
	}
	return record.Document{}, errors.New("no such record yet")
}

// whole checks that the indices of the one log have no gap and no second value.
func whole(all []record.Document) error {
	for i, document := range all {
		if document.Log != all[0].Log || document.Index != int64(i) {
			return fmt.Errorf("record %d of log %s stands where record %d of log %s should", document.Index, document.Log, i, all[0].Log)
		}
	}
	return nil
}

// executed returns how often the target's own log shows each match of a pattern
// among the statements it was sent.
func executed(t *testing.T, pattern *regexp.Regexp) map[string]int {
	t.Helper()
	content, err := world.Postgres.Log()
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(content) {
		if !strings.Contains(line, "LOG:  statement: ") && !strings.Contains(line, "LOG:  execute ") {
			continue
		}
		for _, match := range pattern.FindAllString(line, -1) {
			times[match]++
		}
	}
	return times
}

// timesExecuted is how often the target was sent a text.
func timesExecuted(t *testing.T, text string) int {
	t.Helper()
	return executed(t, regexp.MustCompile(regexp.QuoteMeta(text)))[text]
}
