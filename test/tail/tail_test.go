// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tail_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/tail"
)

// TestLines writes a file in two parts, cut anywhere: each line comes once, and whole.
func TestLines(t *testing.T) {
	const content = "skipped\none\n\ntwo, longer\nunfinished"
	want := []string{"one", "", "two, longer"}
	path := filepath.Join(t.TempDir(), "log")
	for cut := range len(content) {
		var got []string
		var lines tail.Lines
		lines.Skip(path, int64(len("skipped\n")))
		for _, end := range []int{cut, len(content)} {
			if err := os.WriteFile(path, []byte(content[:end]), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := lines.Read(path, func(line []byte) error {
				got = append(got, string(line))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", cut, diff)
		}
	}
}

// TestLinesFail: what a line is refused with ends the reading, behind that line.
func TestLinesFail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("bad\ngood\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines tail.Lines
	bad := errors.New("bad")
	if err := lines.Read(path, func([]byte) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("got %v, want what the line was refused with", err)
	}
	var got string
	if err := lines.Read(path, func(line []byte) error { got += string(line); return nil }); err != nil || got != "good" {
		t.Errorf("then got %q, %v, want the next line", got, err)
	}
	if err := lines.Read(path+"-missing", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
}
