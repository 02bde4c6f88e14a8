// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/doorward/doorward/proxy/identity"
)

// checkUserName admits names with at most one "@": a second one lets the part
// that somebody else splits off be another than the issuer meant.
func checkUserName(name string) error {
	if strings.Count(name, "@") > 1 {
		return fmt.Errorf("name has more than one %q: %q", "@", identity.Shorten(name))
	}
	return checkName(name)
}

// checkName admits names that look like what they are wherever they are shown.
func checkName(name string) error {
	if name == "" || name != strings.TrimSpace(name) {
		return fmt.Errorf("name is empty or has spaces around it: %q", identity.Shorten(name))
	}
	return errors.Join(checkLength(name), checkPrintable(name))
}

func checkLength(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("name is too long: %d bytes, at most %d are allowed", len(name), maxName)
	}
	return nil
}

// checkPrintable refuses control and format characters (line ends, escapes,
// direction marks), spaces other than the plain one, and what was not UTF-8.
func checkPrintable(name string) error {
	for _, r := range name {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("name has a character that does not print: %q", identity.Shorten(name))
		}
	}
	return nil
}

// checkReserved refuses the names that Kubernetes keeps for itself, and those that a
// prefix made too long.
func checkReserved(name string) error {
	if strings.HasPrefix(name, "system:") {
		return fmt.Errorf("names that begin with %q are reserved: %q", "system:", identity.Shorten(name))
	}
	return checkLength(name)
}
