// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	cases := map[string]struct {
		reason  string
		content string
		want    int64
		ok      bool
	}{
		"Limit":     {reason: "A part of it is left to what Go does not count.", content: "1000000000\n", want: 800000000, ok: true},
		"None":      {reason: "The kernel's word for no limit.", content: "max\n"},
		"Empty":     {reason: "Not a limit.", content: ""},
		"Nonsense":  {reason: "Not a limit.", content: "-5"},
		"HalfAWord": {reason: "Not a limit.", content: "12k"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "memory.max")
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, ok := memoryLimit(path)
			if got != tc.want || ok != tc.ok {
				t.Errorf("\n%s\nmemoryLimit(%q): got %d, %t, want %d, %t", tc.reason, tc.content, got, ok, tc.want, tc.ok)
			}
		})
	}
	if _, ok := memoryLimit(filepath.Join(t.TempDir(), "missing")); ok {
		t.Error("a limit without a file")
	}
}
