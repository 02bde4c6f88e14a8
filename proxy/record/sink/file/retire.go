// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// retireEvery is how often old files are looked for.
const retireEvery = time.Minute

// retire deletes the finished files of the log being written that are older
// than the retention: a file is as old as the last record written to it. What
// cannot be deleted now is tried again; the records of the batch at hand do
// not depend on it.
func (s *Sink) retire() {
	now := s.options.Now()
	if s.options.Retention == 0 || now.Sub(s.looked) < retireEvery && !now.Before(s.looked) {
		return
	}
	s.looked = now
	paths, err := filepath.Glob(filepath.Join(s.options.Dir, s.log+"-*"+suffix))
	if err != nil {
		return
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return !s.own(path) })
	slices.Sort(paths)
	for _, path := range paths[:max(len(paths)-1, 0)] {
		// Links and directories are not of this sink.
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || path == s.file.Name() || now.Sub(info.ModTime()) < s.options.Retention {
			continue
		}
		_ = os.Remove(path)
	}
}

// own says whether a path is what this sink calls a file of the log: the id of
// a log is that of one proxy's key, so that nobody else writes such files.
func (s *Sink) own(path string) bool {
	index := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), s.log+"-"), suffix)
	return len(index) == 20 && strings.Trim(index, "0123456789") == ""
}
