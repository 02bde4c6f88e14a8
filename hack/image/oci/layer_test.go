// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var when = time.Date(2026, 11, 22, 9, 30, 0, 123, time.FixedZone("", 3600))

// list says what is in a layer, one line for each entry.
func list(t *testing.T, layer *Layer) []string {
	t.Helper()
	compressed, err := gzip.NewReader(bytes.NewReader(layer.blob))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%c %04o %d:%d %s %s%q %s", header.Typeflag, header.Mode, header.Uid, header.Gid,
			header.Name, header.Linkname, content, header.ModTime.UTC().Format(time.RFC3339)))
	}
}

func TestLayer(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	layer, err := NewLayer([]Entry{
		{Path: "/usr/bin/tool", Mode: 0o755, Source: source},
		{Path: "/usr/bin/su", Mode: 0o755 | fs.ModeSetuid, Content: []byte("x")},
		{Path: "/data", Mode: fs.ModeDir | 0o770 | fs.ModeSticky, UID: 65532, GID: 1},
		{Path: "/data/link", Mode: fs.ModeSymlink, Link: "../usr/bin/tool"},
	}, when)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`5 1770 65532:1 data/ "" 2026-11-22T08:30:00Z`,
		`2 0777 0:0 data/link ../usr/bin/tool"" 2026-11-22T08:30:00Z`,
		`5 0755 0:0 usr/ "" 2026-11-22T08:30:00Z`,
		`5 0755 0:0 usr/bin/ "" 2026-11-22T08:30:00Z`,
		`0 4755 0:0 usr/bin/su "x" 2026-11-22T08:30:00Z`,
		`0 0755 0:0 usr/bin/tool "from a file" 2026-11-22T08:30:00Z`,
	}
	if diff := cmp.Diff(want, list(t, layer)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestLayerRefuses(t *testing.T) {
	tests := map[string]struct {
		reason  string
		entries []Entry
		want    string
	}{
		"Relative":  {"An engine would put it somewhere.", []Entry{{Path: "etc/x"}}, "absolute and clean"},
		"Outside":   {"An engine refuses it, or worse.", []Entry{{Path: "/../x"}}, "absolute and clean"},
		"Root":      {"The root is the engine's.", []Entry{{Path: "/", Mode: fs.ModeDir}}, "not the root"},
		"Twice":     {"Which one counts?", []Entry{{Path: "/x"}, {Path: "/x"}}, "there twice"},
		"Deletion":  {"A layer says with such a name that a file is gone.", []Entry{{Path: "/etc/.wh.x"}}, "deletion"},
		"Device":    {"No image needs one.", []Entry{{Path: "/x", Mode: fs.ModeDevice}}, "neither file, folder nor symbolic link"},
		"NoSource":  {"Nothing is left out silently.", []Entry{{Path: "/x", Source: "/nonexistent/file"}}, "no such file"},
		"SourceDir": {"Tree takes folders.", []Entry{{Path: "/x", Source: os.TempDir()}}, "is a directory"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := NewLayer(tc.entries, when); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: error %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestTree(t *testing.T) {
	root := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "a", "b"), 0o755), os.Chmod(root, 0o750),
		os.WriteFile(filepath.Join(root, "a", "b", "file"), []byte("f"), 0o640), os.Symlink("b/file", filepath.Join(root, "a", "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	entries, err := Tree(root, "/srv")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := NewLayer(entries, when)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`5 0750 0:0 srv/ "" 2026-11-22T08:30:00Z`,
		`5 0755 0:0 srv/a/ "" 2026-11-22T08:30:00Z`,
		`5 0755 0:0 srv/a/b/ "" 2026-11-22T08:30:00Z`,
		`0 0640 0:0 srv/a/b/file "f" 2026-11-22T08:30:00Z`,
		`2 0777 0:0 srv/a/link b/file"" 2026-11-22T08:30:00Z`,
	}
	if diff := cmp.Diff(want, list(t, layer)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if _, err := Tree(filepath.Join(root, "missing"), "/"); err == nil {
		t.Error("a folder that is not there was read")
	}
}

func TestPlainLayerIsTheCompressedOnesArchive(t *testing.T) {
	entries := []Entry{{Path: "/usr/bin/tool", Mode: 0o755, Content: []byte("x")}}
	compressed, err := NewLayer(entries, when)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := NewPlainLayer(entries, when)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(compressed.blob))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if plain.diffID != compressed.diffID || !bytes.Equal(plain.blob, archive) {
		t.Error("the archives differ")
	}
	if plain.mediaType != typePlainLayer || compressed.mediaType != typeLayer {
		t.Errorf("got media types %q, %q", plain.mediaType, compressed.mediaType)
	}
}
