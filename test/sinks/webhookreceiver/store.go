// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
)

// store keeps records as lines of a file, each once.
type store struct {
	mu   sync.Mutex // guards what follows
	file *os.File
	size int64 // of the whole lines
	seen map[string]bool
}

// openStore opens the file, cuts a line that a crash broke off, and learns
// which records it has.
func openStore(path string) (*store, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	s := &store{file: file, size: int64(len(whole)), seen: map[string]bool{}}
	for line := range bytes.Lines(whole) {
		id, err := recordID(line)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		s.seen[id] = true
	}
	if err := file.Truncate(s.size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// add keeps those of the lines that are new. They are on disk when it returns nil.
func (s *store) add(lines []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.HasSuffix(lines, []byte("\n")) {
		return errors.New("the last line has no end")
	}
	var fresh []byte
	var ids []string
	for line := range bytes.Lines(lines) {
		id, err := recordID(line)
		if err != nil {
			return err
		}
		if !s.seen[id] {
			fresh = append(fresh, line...)
			ids = append(ids, id)
		}
	}
	_, err := s.file.WriteAt(fresh, s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		// What was written in part is no record.
		return errors.Join(err, s.file.Truncate(s.size))
	}
	s.size += int64(len(fresh))
	for _, id := range ids {
		s.seen[id] = true
	}
	return nil
}

// recordID is what a record that comes again is known by.
func recordID(line []byte) (string, error) {
	var record struct {
		Log      string `json:"log"`
		Index    *int64 `json:"index"`
		Metadata struct {
			UID string `json:"uid"` // the id in an event of OCSF
		} `json:"metadata"`
	}
	if err := json.Unmarshal(line, &record); err != nil {
		return "", fmt.Errorf("line is not a record: %w", err)
	}
	if record.Metadata.UID != "" {
		return record.Metadata.UID, nil
	}
	if record.Log == "" || record.Index == nil {
		return "", errors.New("line is not a record: no log or no index")
	}
	return record.Log + "/" + strconv.FormatInt(*record.Index, 10), nil
}
