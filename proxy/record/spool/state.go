// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// State keeps a few small values durably beside a log, such as the highest
// snapshot revision seen for each Connection. Safe for concurrent use.
type State struct {
	path string

	mu     sync.Mutex
	values map[string]int64
}

// OpenState reads the state in a log's directory, which must exist. A state
// that cannot be read is an error: to begin at zero would undo what it guards.
func OpenState(dir string) (*State, error) {
	s := &State{path: filepath.Join(dir, "state"), values: map[string]int64{}}
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read state: %w", err)
	}
	if err := json.Unmarshal(data, &s.values); err != nil || s.values == nil {
		return nil, fmt.Errorf("%w: state %q cannot be read: restore it from a copy", ErrCorrupt, s.path)
	}
	return s, nil
}

// Get returns the value last put under a name; 0 where none was.
func (s *State) Get(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name]
}

// Put stores a value; it is on disk when Put returns nil.
func (s *State) Put(name string, value int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(name, value)
}

// Raise stores a value where it is higher than the stored one, and returns the
// stored one. Where it fails, Get still gives the old value.
func (s *State) Raise(name string, value int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value > s.values[name] {
		if err := s.put(name, value); err != nil {
			return s.values[name], err
		}
	}
	return s.values[name], nil
}

func (s *State) put(name string, value int64) error {
	old, had := s.values[name]
	if had && old == value {
		return nil
	}
	s.values[name] = value
	data, err := json.Marshal(s.values)
	if err == nil {
		err = writeFile(s.path, append(data, '\n'))
	}
	if err == nil {
		return nil
	}
	if had {
		s.values[name] = old
	} else {
		delete(s.values, name)
	}
	return fmt.Errorf("cannot keep state %q: %w", name, err)
}
