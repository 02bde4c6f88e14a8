// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"regexp"
	"strings"
)

var (
	quoted  = regexp.MustCompile(`"[^"]*"`)
	grouped = regexp.MustCompile(`\b(by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	braces  = regexp.MustCompile(`\{[^}]*\}`)
	windows = regexp.MustCompile(`\[[^\]]*\]`)
	matched = regexp.MustCompile(`[{,]\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*[=!]`)
	words   = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

// Names are the names of metrics in a PromQL expression.
func Names(expr string) []string {
	for _, cut := range []*regexp.Regexp{quoted, grouped, braces, windows} {
		expr = cut.ReplaceAllString(expr, " ")
	}
	var names []string
	for _, word := range words.FindAllString(expr, -1) {
		// Functions and keywords hold no more than one underscore and none of our prefixes.
		if strings.Count(word, "_") >= 2 || strings.HasPrefix(word, "workqueue_") || strings.HasPrefix(word, "go_") {
			switch word {
			case "max_over_time", "min_over_time", "sum_over_time", "avg_over_time", "count_over_time", "last_over_time":
			default:
				names = append(names, word)
			}
		}
	}
	return names
}

// LabelNames are the labels that a PromQL expression groups by, joins on or
// selects by.
func LabelNames(expr string) []string {
	expr = quoted.ReplaceAllString(expr, "")
	var names []string
	for _, group := range grouped.FindAllStringSubmatch(expr, -1) {
		for _, name := range strings.Split(group[2], ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	for _, match := range matched.FindAllStringSubmatch(expr, -1) {
		names = append(names, match[1])
	}
	return names
}
