// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxReason is the number of characters of the reason by which a session or a credential
// is ended.
const MaxReason = 512

// CheckReason holds the reason of an end to what the API takes.
func CheckReason(text string) error {
	switch {
	case text == "" || utf8.RuneCountInString(text) > MaxReason:
		return fmt.Errorf("no reason, or one of more than %d characters: say why in a few words: --reason", MaxReason)
	case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return errors.New("the reason has control characters: write it in one line of text: --reason")
	}
	return nil
}
