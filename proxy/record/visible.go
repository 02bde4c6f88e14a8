// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"slices"
	"unicode/utf8"
)

// Visible is what a person wrote as records show it: bounded, with whatever draws on a
// terminal, turns text round or shows nothing escaped. Empty where it cannot be shown.
func Visible(text string) string {
	shown, err := Decode(AppendJSON(nil, Position{LogID: "shown"}, Hash{}, &Event{Type: OperationDecided, Reason: text}))
	if err != nil {
		return ""
	}
	return shown.Reason
}

// LookAlikes are the characters of texts that are not ASCII and show, each once, in the order
// in which they come: such letters can pass for others, a Cyrillic а for a Latin a.
func LookAlikes(texts ...string) []rune {
	var found []rune
	for _, text := range texts {
		for _, r := range text {
			if r >= utf8.RuneSelf && !Deceives(r) && !slices.Contains(found, r) {
				found = append(found, r)
			}
		}
	}
	return found
}
