// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSweepRemovesClustersOnly: what is no cluster's stays, and a folder that others may write
// into, or that leads elsewhere, is not touched at all.
func TestSweepRemovesClustersOnly(t *testing.T) {
	outside := t.TempDir()
	for name, tc := range map[string]struct {
		reason string
		mode   os.FileMode // of the folder of clusters; none is made where zero
		files  []string    // in it
		link   string      // leads outside; below the folder for temporary files
		fails  bool
		left   []string // below the folder for temporary files
		gone   []string
	}{
		"None":     {reason: "there was no cluster yet"},
		"Former":   {reason: "its owner is dead", mode: 0o700, files: []string{"a/x"}, gone: []string{"doorward-clusters/a"}},
		"Others":   {reason: "no name of a cluster", mode: 0o700, files: []string{"*/x", "A/x"}, left: []string{"doorward-clusters/*/x", "doorward-clusters/A/x"}},
		"Link":     {reason: "it leads elsewhere", mode: 0o700, link: "doorward-clusters/a", left: []string{"doorward-clusters/a"}},
		"Writable": {reason: "anybody may have put it there", mode: 0o777, files: []string{"a/x"}, fails: true, left: []string{"doorward-clusters/a/x"}},
		"RootLink": {reason: "it is a folder of something else", link: "doorward-clusters", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			if tc.mode != 0 {
				folder(t, tc.mode, tc.files...)
			}
			if tc.link != "" {
				must(t, os.Symlink(outside, filepath.Join(os.TempDir(), tc.link)))
			}
			if err := sweep(); (err != nil) != tc.fails {
				t.Errorf("%s: sweep() = %v", tc.reason, err)
			}
			if _, err := List(); (err != nil) != tc.fails {
				t.Errorf("%s: List() = %v", tc.reason, err)
			}
			for _, path := range tc.left {
				if _, err := os.Lstat(filepath.Join(os.TempDir(), path)); err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
			}
			for _, path := range tc.gone {
				if _, err := os.Lstat(filepath.Join(os.TempDir(), path)); err == nil {
					t.Errorf("%s: %s is still there", tc.reason, path)
				}
			}
			if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
				t.Errorf("%s: the other folder has %v, %v", tc.reason, entries, err)
			}
		})
	}
}

// TestLockOfARemovedFolder: it is nobody's, so that two clusters never share a folder, which the
// first one to end would remove.
func TestLockOfARemovedFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockFile)
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	if !isAt(file, path) {
		t.Error("a file is not where it was made")
	}
	must(t, os.Rename(path, path+".removed"))
	if isAt(file, path) {
		t.Error("a file is there after it was removed")
	}
	must(t, os.WriteFile(path, nil, 0o600))
	if isAt(file, path) {
		t.Error("another file is taken for it")
	}
}

// folder makes the folder of clusters, and files in it.
func folder(t *testing.T, mode os.FileMode, files ...string) {
	t.Helper()
	for _, file := range files {
		path := filepath.Join(root(), file)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, nil, 0o600))
	}
	must(t, os.MkdirAll(root(), 0o700))
	must(t, os.Chmod(root(), mode)) // whatever the umask
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
