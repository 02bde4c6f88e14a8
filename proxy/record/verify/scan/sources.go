// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// Sources are the files to read.
type Sources struct {
	Files []File
	Dirs  []Dir
	// Bytes is the size of all files when they were listed.
	Bytes int64
	// Problems are what could not be read, MoreProblems how many more there are.
	Problems     []Problem
	MoreProblems int
}

// File is one file to read.
type File struct {
	Path string
	// IsSegment says that it is a segment of a log's directory, number Dir of
	// Sources.Dirs (-1 where it is given alone), whose name says that its first
	// record is Segment. Last is the directory's last segment.
	IsSegment bool
	Dir       int
	Segment   int64
	Last      bool
	// Irregular says that it is no regular file, so it is not read.
	Irregular bool
	// First is the record that a file's name says is its first, if it does.
	First *record.Position
	// Records is the number of records found in it.
	Records int64
	// TornAt is where an incomplete group at the end of the log begins; 0 where
	// there is none.
	TornAt int64
	// compressed is known when it was read.
	compressed bool
}

// Dir is a log's own directory, or a copy of it.
type Dir struct {
	Path string
	// Cursors say how far each reader had got, by its name: the index of the
	// first record it has not acknowledged.
	Cursors map[string]Cursor
	// Witness says how far the witness had acknowledged; nil where it had not.
	Witness *Cursor
}

// Cursor is how far a reader of a log had got.
type Cursor struct {
	Log  string `json:"log"`
	Next int64  `json:"next"`
}

var (
	segmentName = regexp.MustCompile(`^(\d{20})\.log$`)
	// ownName are the names of a log's directory, see package spool.
	ownName = regexp.MustCompile(`^(?:\d{20}\.(?:log|open)|.*\.tmp|lock|key|key\.next|keys|witness|state|cursors|lost\+found)$`)
	// fileName is what the file sink calls its files, objectName what the object
	// store sink calls its objects.
	fileName   = regexp.MustCompile(`(?:^|/)([0-9a-f]{32})-(\d{20})\.jsonl(?:\.gz)?$`)
	objectName = regexp.MustCompile(`(?:^|/)([0-9a-f]{32})/\d{4}/\d{2}/\d{2}/(\d{20})-\d{20}\.jsonl(?:\.gz)?$`)
)

// Find lists what is to be read at paths: files, directories of files with all
// below them, and logs' own directories.
func Find(paths []string) (*Sources, error) {
	s := &Sources{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read records: %w", err)
		}
		if match := segmentName.FindStringSubmatch(filepath.Base(path)); match != nil && info.Mode().IsRegular() {
			if first, err := strconv.ParseInt(match[1], 10, 64); err == nil {
				s.Bytes += info.Size()
				s.Files = append(s.Files, File{Path: path, IsSegment: true, Dir: -1, Segment: first, Last: true})
				continue
			}
		}
		if !info.IsDir() {
			if !info.Mode().IsRegular() {
				return nil, fmt.Errorf("cannot read records: %q is no file and no directory: write what it gives to a file first, it is read twice", path)
			}
			s.add(path, info)
			continue
		}
		if err := s.walk(path); err != nil {
			return nil, fmt.Errorf("cannot read records: %w", err)
		}
	}
	if len(s.Files) == 0 {
		return nil, fmt.Errorf("%w: no file in %q", ErrNothing, paths)
	}
	return s, nil
}

// walk adds the files of a directory.
func (s *Sources) walk(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	number, last := -1, -1
	for _, e := range entries {
		match := segmentName.FindStringSubmatch(e.Name())
		if match == nil || !e.Type().IsRegular() {
			continue
		}
		if number < 0 {
			// Before the segments, so that no cursor is ahead of a running log.
			s.Dirs = append(s.Dirs, Dir{Path: dir, Cursors: cursors(dir), Witness: witness(dir)})
			number = len(s.Dirs) - 1
		}
		first, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no segment's name: move it out of %q", e.Name(), dir)
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		s.Bytes += info.Size()
		last = len(s.Files)
		s.Files = append(s.Files, File{Path: filepath.Join(dir, e.Name()), IsSegment: true, Dir: number, Segment: first})
	}
	if number >= 0 {
		s.Files[last].Last = true
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		// What else is beside segments counts too: a file that looks like a
		// segment must not hide others.
		case number >= 0 && ownName.MatchString(e.Name()):
		case e.IsDir():
			if err := s.walk(path); err != nil {
				return err
			}
		case e.Type().IsRegular():
			info, err := e.Info()
			if err != nil {
				return err
			}
			s.add(path, info)
		default:
			s.Files = append(s.Files, File{Path: path, Dir: -1, Irregular: true})
			s.Problems = append(s.Problems, Problem{File: len(s.Files) - 1, Index: -1, What: "it is no regular file, or a link, which is not followed: give what it leads to"})
		}
	}
	return nil
}

func (s *Sources) add(path string, info fs.FileInfo) {
	f := File{Path: path, Dir: -1}
	for _, name := range []*regexp.Regexp{fileName, objectName} {
		if match := name.FindStringSubmatch(filepath.ToSlash(path)); match != nil {
			if index, err := strconv.ParseInt(match[2], 10, 64); err == nil {
				f.First = &record.Position{LogID: match[1], Index: index}
			}
		}
	}
	s.Bytes += info.Size()
	s.Files = append(s.Files, f)
}

// cursors reads how far the readers of a log had got; what cannot be read says
// nothing.
func cursors(dir string) map[string]Cursor {
	all := map[string]Cursor{}
	entries, err := os.ReadDir(filepath.Join(dir, "cursors"))
	if err != nil {
		return all
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, "cursors", e.Name()))
		var c Cursor
		if err == nil && json.Unmarshal(data, &c) == nil && c.Log != "" && c.Next >= 0 {
			all[e.Name()] = c
		}
	}
	return all
}

// witness reads how far the witness had acknowledged: the tree it holds is
// written as begin, end and hashes, with colons between.
func witness(dir string) *Cursor {
	data, err := os.ReadFile(filepath.Join(dir, "witness"))
	if err != nil {
		return nil
	}
	var document struct {
		Log  string `json:"log"`
		Tree string `json:"tree"`
	}
	if json.Unmarshal(data, &document) != nil || document.Log == "" {
		return nil
	}
	fields := strings.Split(document.Tree, ":")
	if len(fields) != 3 {
		return nil
	}
	end, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || end < 0 {
		return nil
	}
	return &Cursor{Log: document.Log, Next: end}
}
