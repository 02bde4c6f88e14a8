// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink/file"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// Only what this sink wrote, finished and has kept for long enough goes.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	s, err := file.New(file.Options{Dir: dir, MaxBytes: 1, Retention: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	write := func(index int64) {
		t.Helper()
		if err := s.Write(t.Context(), sinktest.Records(index, index+1)); err != nil {
			t.Fatal(err)
		}
	}
	path := func(index int64) string {
		return filepath.Join(dir, fmt.Sprintf("%s-%020d.jsonl", sinktest.LogID, index))
	}
	age := func(path string, by time.Duration) {
		t.Helper()
		if err := os.Chtimes(path, now.Add(-by), now.Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(4) {
		write(i)
	}
	others := []string{"0123-" + strings.Repeat("0", 20) + ".jsonl", sinktest.LogID + "-copy.jsonl", sinktest.LogID + "-00000000000000000000.jsonl.gz"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		age(filepath.Join(dir, name), 9*time.Hour)
	}
	age(path(0), 2*time.Hour)
	age(path(1), time.Hour)
	age(path(2), 50*time.Minute)
	age(path(3), 2*time.Hour)
	now = now.Add(30 * time.Second)
	write(4)
	if _, err := os.Stat(path(0)); err != nil {
		t.Errorf("deleted within a minute of the last look: %v", err)
	}
	age(path(4), 2*time.Hour) // it will be finished, and old
	now = now.Add(31 * time.Second)
	write(5)
	age(path(5), 2*time.Hour) // the newest
	now = now.Add(time.Hour)
	s, err = file.New(file.Options{Dir: dir, MaxBytes: 1 << 20, Retention: 3 * time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	write(6) // goes to the newest file
	for index, want := range map[int64]bool{0: false, 1: false, 2: true, 3: false, 4: false, 5: true} {
		if _, err := os.Stat(path(index)); errors.Is(err, os.ErrNotExist) == want {
			t.Errorf("file %d is there: %v, want %v", index, err == nil, want)
		}
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("a file that is not the sink's: %v", err)
		}
	}
}

func TestEncode(t *testing.T) {
	dir := t.TempDir()
	s, err := file.New(file.Options{Dir: dir, Encode: func(dst []byte, r record.Record) ([]byte, error) {
		return fmt.Appendf(dst, "{%d}", r.Position.Index), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Write(t.Context(), sinktest.Records(0, 2)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{0}\n{1}", string(joined(received(t, dir)))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func joined(lines [][]byte) []byte {
	var all []byte
	for i, line := range lines {
		if i > 0 {
			all = append(all, '\n')
		}
		all = append(all, line...)
	}
	return all
}
