// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

// Visible is what a person wrote as records show it: bounded, with whatever draws on a
// terminal, turns text round or shows nothing escaped. Empty where it cannot be shown.
func Visible(text string) string {
	shown, err := Decode(AppendJSON(nil, Position{LogID: "shown"}, Hash{}, &Event{Type: OperationDecided, Reason: text}))
	if err != nil {
		return ""
	}
	return shown.Reason
}
