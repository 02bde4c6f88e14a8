// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxGlob bounds a glob, in bytes, well above what the API admits.
const maxGlob = 4096

// shape says how the library matches a glob.
type shape int

// A glob without a star is equal to its name, one with a single star at its end
// is a prefix, any other is an anchored regular expression. Together they match
// exactly as policy.Match does.
const (
	exact shape = iota
	prefix
	pattern
)

// shapeOf is a glob's shape with the text that the library matches by.
func shapeOf(glob string) (shape, string) {
	switch strings.Index(glob, "*") {
	case -1:
		return exact, glob
	case len(glob) - 1:
		return prefix, strings.TrimSuffix(glob, "*")
	default:
		return pattern, expression(glob)
	}
}

// expression is the anchored RE2 of a glob. A star is any run of characters,
// also of line ends and of bytes that are not UTF-8.
func expression(glob string) string {
	parts := strings.Split(glob, "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return `(?s)\A` + strings.Join(parts, ".*") + `\z`
}

// checkGlob refuses globs that the two matchers could read differently: RE2
// takes every byte that is not UTF-8 for U+FFFD.
func checkGlob(glob string) error {
	if !utf8.ValidString(glob) || strings.ContainsRune(glob, utf8.RuneError) {
		return fmt.Errorf("invalid glob: not UTF-8, or holds U+FFFD: %q", glob)
	}
	if len(glob) > maxGlob {
		return fmt.Errorf("invalid glob: %d bytes, at most %d are allowed", len(glob), maxGlob)
	}
	if _, err := regexp.Compile(expression(glob)); err != nil {
		return errors.Join(fmt.Errorf("invalid glob: %q", glob), err)
	}
	return nil
}
