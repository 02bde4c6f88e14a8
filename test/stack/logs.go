// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"os"
	"path/filepath"
)

// PrintLogs shows the ends of the programs' logs: where a test failed on another
// machine, they are all there is.
func (s *Stack) PrintLogs() {
	dir := s.Logs()
	const tail = 8 << 10
	entries, err := os.ReadDir(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the programs' logs:", err)
		return
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot read the programs' logs:", err)
			continue
		}
		fmt.Fprintf(os.Stderr, "--- end of %s\n%s\n", entry.Name(), content[max(0, len(content)-tail):])
	}
}
