// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// complete says whether the sink has each log's records from the first on
// without a gap.
func complete(dir string) error {
	logs := map[string]map[int64]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), ".jsonl") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(content) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break // still being written
			}
			document, err := record.Decode(bytes.TrimSpace(line))
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if logs[document.Log] == nil {
				logs[document.Log] = map[int64]bool{}
			}
			logs[document.Log][document.Index] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the records: %w", err)
	}
	for log, indices := range logs {
		for i := range int64(len(indices)) {
			if !indices[i] {
				return fmt.Errorf("the sink has %d records of log %s, and record %d is not among them", len(indices), log, i)
			}
		}
	}
	return nil
}
