// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/file"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, size int64) *file.Sink {
	t.Helper()
	s, err := file.New(file.Options{Dir: dir, MaxBytes: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

func received(t *testing.T, dir string) [][]byte {
	t.Helper()
	var all []byte
	for _, path := range files(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return bytes.Split(bytes.TrimSuffix(all, []byte("\n")), []byte("\n"))
}

func TestConformance(t *testing.T) {
	for name, size := range map[string]int64{"OneFile": 0, "ManyFiles": 1000} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Destination {
				t.Helper()
				dir := filepath.Join(t.TempDir(), "records")
				return sinktest.Destination{
					New: func(t *testing.T) sink.Sink {
						t.Helper()
						return open(t, dir, size)
					},
					Received: func(t *testing.T) [][]byte {
						t.Helper()
						return received(t, dir)
					},
				}
			})
		})
	}
}

// TestDirectoryGone: records that the disk does not take are not accepted.
func TestDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	s := open(t, dir, 1) // each batch begins a file
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), sinktest.Records(0, 1)); err == nil {
		t.Error("Write accepted records without a directory")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), sinktest.Records(0, 1)); err != nil {
		t.Error(err)
	}
}

// TestBrokenLineIsCut: what a crash left of an unacknowledged batch goes.
func TestBrokenLineIsCut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	if err := s.Write(t.Context(), sinktest.Records(0, 2)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := files(t, dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, data[:100]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, 0).Write(t.Context(), sinktest.Records(2, 3)); err != nil {
		t.Fatal(err)
	}
	got, want := received(t, dir), sinktest.Records(0, 3)
	if len(got) != 3 || !bytes.Equal(got[2], want[2].JSON) {
		t.Errorf("received %s", got)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1000)
	for i := range int64(20) {
		if err := s.Write(t.Context(), sinktest.Records(i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	paths := files(t, dir)
	if len(paths) < 4 || filepath.Base(paths[0]) != sinktest.LogID+"-00000000000000000000.jsonl" {
		t.Errorf("files %q", paths)
	}
}
