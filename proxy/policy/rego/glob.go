// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

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

// globs are those of several by shape, as the library matches any of them by.
func globs(list []string) (names, prefixes, patterns []string) {
	for _, glob := range list {
		switch kind, text := shapeOf(glob); kind {
		case exact:
			names = append(names, text)
		case prefix:
			prefixes = append(prefixes, text)
		case pattern:
			patterns = append(patterns, text)
		}
	}
	return names, prefixes, patterns
}

// globData is globs as data of the library. Data has no sets: the keys of an object are
// looked up in the same way.
func globData(list []string) map[string]any {
	names, prefixes, patterns := globs(list)
	exact := make(map[string]any, len(names))
	for _, name := range names {
		exact[name] = true
	}
	return map[string]any{"exact": exact, "prefixes": anys(prefixes), "patterns": anys(patterns)}
}

// globsTerm is globs as input of the library.
func globsTerm(list []string) *ast.Term {
	names, prefixes, patterns := globs(list)
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("exact"), ast.SetTerm(stringTerms(names)...)),
		ast.Item(ast.InternedTerm("prefixes"), ast.ArrayTerm(stringTerms(prefixes)...)),
		ast.Item(ast.InternedTerm("patterns"), ast.ArrayTerm(stringTerms(patterns)...)),
	)
}
