// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	when  = time.Date(2026, 11, 22, 9, 30, 0, 0, time.FixedZone("", 3600))
	files = []packed{{name: "LICENSE", content: []byte("licence"), mode: 0o644}, {name: "tool", content: []byte("tool"), mode: 0o755}}
)

func TestZip(t *testing.T) {
	output := filepath.Join(t.TempDir(), "tool.zip")
	if err := writeZip(output, files, when); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(output)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var got []packed
	for _, file := range archive.File {
		reader, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if !file.Modified.Equal(when) {
			t.Errorf("%s is of %v, want %v", file.Name, file.Modified, when)
		}
		got = append(got, packed{name: file.Name, content: content, mode: int64(file.Mode().Perm())})
	}
	if diff := cmp.Diff(files, got, cmp.AllowUnexported(packed{})); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestTarGzComesBack(t *testing.T) {
	folder := t.TempDir()
	chart := []packed{{name: "chart/Chart.yaml", content: []byte("name: chart"), mode: 0o644}}
	first, second := filepath.Join(folder, "first.tgz"), filepath.Join(folder, "second.tgz")
	if err := writeTarGz(first, chart, when); err != nil {
		t.Fatal(err)
	}
	read, err := unpackTarGz(first)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(chart, read, cmp.AllowUnexported(packed{})); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := writeTarGz(second, read, when.UTC()); err != nil {
		t.Fatal(err)
	}
	one, err := checksum(first)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := checksum(second); err != nil || one != two {
		t.Errorf("packed again it is another: %v", err)
	}
}

func TestArchiveNamesWhatIsMissing(t *testing.T) {
	missing := []packed{{name: "tool", source: filepath.Join(t.TempDir(), "missing")}}
	for name, write := range map[string]func(string, []packed, time.Time) error{"tar": writeTarGz, "zip": writeZip} {
		if err := write(filepath.Join(t.TempDir(), "archive"), missing, when); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSettle(t *testing.T) {
	bill := `{"metadata":{"tools":[{"name":"tool","hashes":[{"alg":"MD5"}]}],"component":{"name":"c","hashes":[1]}},"components":[]}`
	got, err := settle([]byte(bill), when)
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "components": [],
 "metadata": {
  "component": {
   "hashes": [
    1
   ],
   "name": "c"
  },
  "timestamp": "2026-11-22T08:30:00Z",
  "tools": [
   {
    "name": "tool"
   }
  ]
 }
}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("bill (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "[]", "{}", `{"metadata":[]}`} {
		if _, err := settle([]byte(bad), when); err == nil {
			t.Errorf("%q was taken for a bill", bad)
		}
	}
}

func TestManifest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "krew", "doorward.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := renderPlugin(string(text), "1.2.3", []pluginPlatform{{OS: "windows", Arch: "arm64", URI: "https://example.org/a.zip", SHA256: "abc", Executable: "tool.exe"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"version: v1.2.3\n", "os: windows\n", "arch: arm64\n", "uri: https://example.org/a.zip\n", "sha256: abc\n", "bin: tool.exe\n", "- from: tool.exe\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("manifest lacks %q:\n%s", want, got)
		}
	}
	if _, err := renderPlugin("{{ .Missing }}", "1.2.3", nil); err == nil {
		t.Error("a template asked for what is not there, and was rendered")
	}
}
