// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// PrintLogs shows the ends of the programs' logs: where a test failed on another
// machine, they are all there is.
func (s *Stack) PrintLogs() {
	const tail = 8 << 10
	if err := s.eachLog(func(name string, content []byte) error {
		fmt.Fprintf(os.Stderr, "--- end of %s\n%s\n", name, content[max(0, len(content)-tail):])
		return nil
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// NoRaces looks for data races and panics in what the programs printed: those of
// a program that is killed do not change its exit status.
func (s *Stack) NoRaces() error {
	return s.eachLog(func(name string, content []byte) error {
		for _, word := range []string{"WARNING: DATA RACE", "panic: "} {
			if i := bytes.Index(content, []byte(word)); i >= 0 {
				return fmt.Errorf("%s: %.4000s", name, content[i:])
			}
		}
		return nil
	})
}

// eachLog reads the programs' logs until there is an error.
func (s *Stack) eachLog(do func(name string, content []byte) error) error {
	entries, err := os.ReadDir(s.Logs())
	if err != nil {
		return fmt.Errorf("cannot read the programs' logs: %w", err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(s.Logs(), entry.Name()))
		if err != nil {
			return fmt.Errorf("cannot read the programs' logs: %w", err)
		}
		if err := do(entry.Name(), content); err != nil {
			return err
		}
	}
	return nil
}
