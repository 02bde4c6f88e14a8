// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// maxLine bounds a record's line: statements are bounded far below.
const maxLine = 1 << 20

// printRecords prints what the file sink received, a line for each record.
func printRecords(dir string, args []string) error {
	set := flag.NewFlagSet("records", flag.ContinueOnError)
	session := set.String("session", "", "only records of this session")
	last := set.Int("last", 0, "only the last N")
	if _, err := parse(set, args); err != nil {
		return err
	}
	documents, err := readRecords(filepath.Join(dir, "records"))
	if err != nil {
		return err
	}
	if *session != "" {
		documents = slices.DeleteFunc(documents, func(d record.Document) bool { return d.Session != *session })
	}
	if *last > 0 && len(documents) > *last {
		documents = documents[len(documents)-*last:]
	}
	for _, d := range documents {
		fmt.Println(line(d))
	}
	return nil
}

func readRecords(dir string) ([]record.Document, error) {
	var documents []record.Document
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), ".jsonl") {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			document, err := record.Decode(lines.Bytes())
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			documents = append(documents, document)
		}
		return lines.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the records: %w", err)
	}
	slices.SortFunc(documents, func(a, b record.Document) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Index, b.Index))
	})
	return documents, nil
}

// line shows one record to a person.
func line(d record.Document) string {
	parts := []string{fmt.Sprintf("#%-4d %s %-20s", d.Index, d.Time.Format("15:04:05.000"), d.Type)}
	if d.Actor != nil {
		parts = append(parts, "actor="+d.Actor.UserName)
	}
	if d.Decision != nil {
		parts = append(parts, "decision="+d.Decision.Effect)
	}
	if d.Approval != nil {
		parts = append(parts, fmt.Sprintf("approval=%s(%s %s)", d.Approval.Request, d.Approval.Outcome, strings.Join(d.Approval.Approvers, ",")))
	}
	if d.Result != nil {
		parts = append(parts, fmt.Sprintf("outcome=%s rows=%d", d.Result.Outcome, d.Result.Rows))
		if len(d.Result.MaskedFields) > 0 {
			parts = append(parts, "masked="+strings.Join(d.Result.MaskedFields, ","))
		}
	}
	if d.Reason != "" {
		parts = append(parts, "reason="+d.Reason)
	}
	if d.Operation != nil {
		parts = append(parts, fmt.Sprintf("%q", d.Operation.Statement))
	}
	return strings.Join(parts, " ")
}
