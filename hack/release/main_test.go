// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRemoveFormer: a slip of --output costs nobody a folder.
func TestRemoveFormer(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, folder string
		files          []string
		goes           bool
	}{
		"None":    {reason: "nothing is there yet", folder: "out", goes: true},
		"Former":  {reason: "a release has checksums", folder: "out", files: []string{"checksums.txt", "a"}, goes: true},
		"Broken":  {reason: "one that failed half way has none, and stands where releases do", folder: "dist", files: []string{"a"}, goes: true},
		"Another": {reason: "somebody's own", folder: "out", files: []string{"thesis"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), tc.folder)
			for _, file := range tc.files {
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := removeFormer(folder)
			_, left := os.Stat(folder)
			if (err == nil) != tc.goes || os.IsNotExist(left) != tc.goes {
				t.Errorf("%s: removeFormer() = %v, then %v", tc.reason, err, left)
			}
		})
	}
}
