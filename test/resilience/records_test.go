// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
)

// records are what the file sink has received, each once, in the log's order.
func records() ([]record.Document, error) { return stack.ReadRecords(world.Records()) }

// found is the last record that matches.
func found(match func(record.Document) bool) (record.Document, error) {
	all, err := records()
	if err != nil {
		return record.Document{}, err
	}
	for _, document := range slices.Backward(all) {
		if match(document) {
			return document, nil
		}
	}
	return record.Document{}, errors.New("no such record yet")
}

// executed returns how often the target's own log shows each match of a pattern
// among the statements it was sent.
func executed(t *testing.T, pattern *regexp.Regexp) map[string]int {
	t.Helper()
	content, err := world.Postgres.Log()
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(content) {
		if !strings.Contains(line, "LOG:  statement: ") && !strings.Contains(line, "LOG:  execute ") {
			continue
		}
		for _, match := range pattern.FindAllString(line, -1) {
			times[match]++
		}
	}
	return times
}

// timesExecuted is how often the target was sent a text.
func timesExecuted(t *testing.T, text string) int {
	t.Helper()
	return executed(t, regexp.MustCompile(regexp.QuoteMeta(text)))[text]
}
