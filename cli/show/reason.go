// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// How many characters of a reason the API takes: of what is asked for, decided or
// reviewed, and of what ends a session, a credential or an approval.
const (
	MaxReason    = 1024
	MaxEndReason = 512
)

// CheckReason holds a reason, which others read, to one line of at most so many
// characters, none of which could deceive them.
func CheckReason(text string, most int) error {
	switch safe := Safe(text); {
	case strings.TrimSpace(text) == "":
		return errors.New("no reason: others go by it: --reason TEXT")
	case utf8.RuneCountInString(text) > most:
		return fmt.Errorf("the reason has more than %d characters: say it in fewer: --reason", most)
	case safe != text:
		return fmt.Errorf("the reason has characters that could deceive its readers: write it in one line, without them: --reason %s", safe)
	}
	return nil
}
