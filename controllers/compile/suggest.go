// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortStrings(names []string) []string {
	slices.Sort(names)
	return names
}

// didYouMean returns " (did you mean ...?)" with the name nearest to what was
// written, or nothing where none is near.
func didYouMean(written string, names []string) string {
	best := Nearest(written, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// Nearest is the name that is nearest to what was written, empty where none is near.
func Nearest(written string, names []string) string {
	best, bestDistance := "", len(written)/2+1
	for _, name := range names {
		if d := distance(written, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the number of single-character edits between two words.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
