// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// plainBuiltins are built-in functions that modules call as they are: none makes a value
// larger than a number.
var plainBuiltins = []string{
	"assign", "eq", "equal", "neq", "lt", "lte", "gt", "gte",
	"internal.member_2", "internal.member_3", "count",
	"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "type_name",
}

// boundedBuiltins are those that modules call through a guard, with what it looks at
// before the call: nothing where the result is no larger than the arguments, whose size
// is bounded, and takes no longer than reading them. Every one is a pure function of its arguments. Whatever reaches the network,
// the clock, the environment or randomness is on neither list; nor is what nobody needs
// to decide about an operation.
var boundedBuiltins = map[string]func(arguments []*ast.Term) error{
	"plus": nil, "minus": nil, "mul": nil, "div": nil, "rem": nil, "abs": nil, "ceil": nil, "floor": nil, "round": nil,
	"to_number": fewDigits, "format_int": nil,
	"and": nil, "or": nil, "intersection": nil, "union": nil,
	"sum": nil, "max": nil, "min": nil, "sort": nil,
	"array.concat": nil, "array.reverse": nil, "array.slice": nil,
	"object.filter": nil, "object.get": nil, "object.keys": nil, "object.remove": nil, "object.subset": shortSubset, "object.union": nil,
	"numbers.range": shortRange,
	"startswith":    nil, "endswith": nil, "contains": nil, "indexof": shortSearch, "strings.count": nil,
	"strings.any_prefix_match": nil, "strings.any_suffix_match": nil,
	"lower": nil, "upper": nil, "substring": nil, "strings.reverse": nil,
	"trim": shortSearch, "trim_left": shortSearch, "trim_prefix": nil, "trim_right": shortSearch, "trim_space": nil, "trim_suffix": nil,
	"split": fewParts, "concat": shortJoin, "replace": shortReplacement, "sprintf": shortText,
	"regex.match": smallExpression, "regex.is_valid": anyExpression,
	"net.cidr_contains": nil, "net.cidr_intersects": nil, "net.cidr_is_valid": nil,
	"time.parse_rfc3339_ns": nil, "time.parse_duration_ns": nil, "time.clock": nil, "time.date": nil, "time.weekday": nil,
	"time.add_date": nil, "time.diff": nil,
}

// The bounds of single built-in functions.
const (
	// maxDigits bounds numbers, which are of any length in Rego.
	maxDigits = 64
	// maxRange bounds the numbers that one call makes.
	maxRange = 10_000
	// maxExpression bounds a regular expression in instructions, and maxMatch the
	// instructions times the bytes that it is matched against. It bounds other functions
	// that compare each part of one argument with each of another, too.
	maxExpression = 2_000
	maxMatch      = 4 << 20
)

func textOf(arguments []*ast.Term, i int) (string, bool) {
	if i >= len(arguments) {
		return "", false
	}
	text, ok := arguments[i].Value.(ast.String)
	return string(text), ok
}

// Arguments of a wrong type are the function's own to refuse.

func fewDigits(arguments []*ast.Term) error {
	if text, ok := textOf(arguments, 0); ok {
		return checkNumber(text)
	}
	return nil
}

// checkNumber refuses numbers with which arithmetic would take long, such as 1e999999.
func checkNumber(text string) error {
	if len(text) > maxDigits {
		return fmt.Errorf("a number is too long: at most %d digits are allowed", maxDigits)
	}
	_, exponent, found := strings.Cut(strings.ToLower(text), "e")
	if !found {
		return nil
	}
	if e, err := strconv.Atoi(exponent); err != nil || e > maxDigits || e < -maxDigits {
		return fmt.Errorf("a number is too large or too small: an exponent of at most %d is allowed", maxDigits)
	}
	return nil
}

func shortRange(arguments []*ast.Term) error {
	bounds := [2]int{}
	for i := range bounds {
		number, ok := arguments[i].Value.(ast.Number)
		if !ok {
			return nil
		}
		if bounds[i], ok = number.Int(); !ok || bounds[i] > 1<<40 || bounds[i] < -1<<40 {
			return fmt.Errorf("numbers.range: a bound is no small whole number")
		}
	}
	if length := bounds[1] - bounds[0]; length > maxRange || length < -maxRange {
		return fmt.Errorf("numbers.range: at most %d numbers are allowed", maxRange)
	}
	return nil
}

func fewParts(arguments []*ast.Term) error {
	text, _ := textOf(arguments, 0)
	separator, ok := textOf(arguments, 1)
	if !ok {
		return nil
	}
	return fits((strings.Count(text, separator)+2)*nodeSize + len(text))
}

func shortJoin(arguments []*ast.Term) error {
	delimiter, _ := textOf(arguments, 0)
	length := 1
	switch parts := arguments[1].Value.(type) {
	case *ast.Array:
		length = parts.Len()
	case ast.Set:
		length = parts.Len()
	}
	return fits(length*len(delimiter) + sizeOfTerm(arguments[1], maxValue))
}

func shortReplacement(arguments []*ast.Term) error {
	text, _ := textOf(arguments, 0)
	old, _ := textOf(arguments, 1)
	replacement, _ := textOf(arguments, 2)
	return fits(len(text) + strings.Count(text, old)*len(replacement))
}

// shortText bounds what a format makes: every verb may write each argument, padded.
func shortText(arguments []*ast.Term) error {
	format, _ := textOf(arguments, 0)
	verbs := strings.Count(format, "%")
	if verbs == 0 {
		return nil
	}
	digits := 0
	for i := range len(format) {
		switch c := format[i]; {
		case c == '*':
			return fmt.Errorf("sprintf: widths from arguments are not allowed: write them into the format")
		case c < '0' || c > '9':
			digits = 0
		default:
			digits++
			if digits > 3 {
				return fmt.Errorf("sprintf: a width of at most 999 is allowed")
			}
		}
	}
	largest := 0
	if values, ok := arguments[1].Value.(*ast.Array); ok {
		for i := range values.Len() {
			largest = max(largest, sizeOfTerm(values.Elem(i), maxValue))
		}
	}
	// Texts within values are quoted, where a byte takes up to six.
	return fits(len(format) + verbs*(6*largest+2000))
}

// shortSearch bounds functions that may look for a text, or for its characters, at each
// place of another: nothing stops them while they do.
func shortSearch(arguments []*ast.Term) error {
	text, _ := textOf(arguments, 0)
	wanted, _ := textOf(arguments, 1)
	if len(text)*len(wanted) > maxMatch {
		return fmt.Errorf("the texts are too long: %d bytes are looked for in %d", len(wanted), len(text))
	}
	return nil
}

// shortSubset bounds the search of a list in another, also within objects.
func shortSubset(arguments []*ast.Term) error {
	all, some := sizeOfTerm(arguments[0], maxValue)/nodeSize, sizeOfTerm(arguments[1], maxValue)/nodeSize
	if all*some > maxMatch {
		return fmt.Errorf("object.subset: the values are too large: %d parts are looked for in %d", some, all)
	}
	return nil
}

func fits(size int) error {
	if size > maxValue {
		return errValue
	}
	return nil
}

// smallExpression bounds what an expression compiles to, since a few characters can stand
// for many instructions, and the product of that with the text.
func smallExpression(arguments []*ast.Term) error {
	pattern, ok := textOf(arguments, 0)
	if !ok {
		return nil
	}
	if err := shortExpression(pattern); err != nil {
		return err
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("regex.match: %w", err)
	}
	instructions := instructionsOf(parsed)
	text, _ := textOf(arguments, 1)
	if instructions > maxExpression || instructions*len(text) > maxMatch {
		return fmt.Errorf("regex.match: the expression or the text is too long: an expression of %d instructions against %d bytes", instructions, len(text))
	}
	return nil
}

// anyExpression bounds an expression that need not be one.
func anyExpression(arguments []*ast.Term) error {
	pattern, _ := textOf(arguments, 0)
	if err := shortExpression(pattern); err != nil {
		return err
	}
	if parsed, err := syntax.Parse(pattern, syntax.Perl); err == nil && instructionsOf(parsed) > maxExpression {
		return fmt.Errorf("regex.is_valid: the expression is too long: %d instructions", instructionsOf(parsed))
	}
	return nil
}

func shortExpression(pattern string) error {
	if len(pattern) > maxExpression || !utf8.ValidString(pattern) {
		return fmt.Errorf("a regular expression of at most %d bytes of UTF-8 is allowed", maxExpression)
	}
	return nil
}

func instructionsOf(expression *syntax.Regexp) int {
	size := 1 + len(expression.Rune)
	for _, part := range expression.Sub {
		size += instructionsOf(part)
	}
	if expression.Op == syntax.OpRepeat {
		size *= max(expression.Min, expression.Max, 1) + 1
	}
	return min(size, 1<<30)
}

// moduleCapabilities are those of modules in the words of their authors: what
// `opa check --capabilities` takes.
func moduleCapabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	restricted := *all
	restricted.AllowNet = []string{}
	restricted.Features = []string{ast.FeatureRegoV1, ast.FeatureKeywordsInRefs}
	restricted.FutureKeywords, restricted.WasmABIVersions = []string{}, nil
	restricted.Builtins = nil
	for _, builtin := range all.Builtins {
		_, bounded := boundedBuiltins[builtin.Name]
		if bounded || slices.Contains(plainBuiltins, builtin.Name) {
			restricted.Builtins = append(restricted.Builtins, builtin)
		}
	}
	return &restricted
}
