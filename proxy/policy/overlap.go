// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// Touches says whether a mask may be about an operation whose answer shows or depends
// on the fields, in which '*' stands for any run of characters. Nil fields are not
// known, so that it may. One that looks into content may always.
func (m *Mask) Touches(fields []string) bool {
	if fields == nil || len(m.Detect) > 0 {
		return true
	}
	for _, glob := range m.Fields {
		for _, field := range fields {
			if Overlap(glob, field) {
				return true
			}
		}
	}
	return false
}

// Overlap says whether two globs match one name; Match says what a glob matches.
func Overlap(a, b string) bool {
	if !strings.Contains(b, "*") {
		return Match(a, b)
	}
	if !strings.Contains(a, "*") {
		return Match(b, a)
	}
	// row[j] says whether what is left of a overlaps with b from j on.
	row := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		diagonal := false // row[j+1] of what is left of a without its first character
		for j := len(b); j >= 0; j-- {
			below, overlaps := row[j], false
			switch {
			case i == len(a):
				overlaps = j == len(b) || b[j] == '*' && row[j+1]
			case j == len(b):
				overlaps = a[i] == '*' && below
			case a[i] == '*' || b[j] == '*':
				overlaps = below && (a[i] == '*' || b[j] == '*') || row[j+1]
			default:
				overlaps = a[i] == b[j] && diagonal
			}
			diagonal, row[j] = below, overlaps
		}
	}
	return row[0]
}
