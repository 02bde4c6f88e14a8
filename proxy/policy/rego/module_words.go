// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// checkBrackets bounds how deep a text is nested before it is parsed: parsing nested
// brackets is what costs a parser its stack and its time.
func checkBrackets(text string) error {
	depth, row, column := 0, 1, 0
	for i := 0; i < len(text); i++ {
		column++
		switch text[i] {
		case '\n':
			row, column = row+1, 0
		case '#':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case '"', '`':
			quote := text[i]
			for i++; i < len(text) && text[i] != quote && (quote == '`' || text[i] != '\n'); i++ {
				if text[i] == '\\' && quote == '"' {
					i++
				}
				if i < len(text) && text[i] == '\n' {
					row, column = row+1, 0
				}
			}
		case '(', '[', '{':
			depth++
			if depth > maxNesting {
				return &moduleError{row, column, fmt.Sprintf("the module is nested too deeply: more than %d brackets: give parts of it a name", maxNesting)}
			}
		case ')', ']', '}':
			depth--
		}
	}
	return nil
}

// guardModule checks that a module says what a policy's module may say, rewrites it so
// that it stays within its bounds, and returns which of moduleWords it defines.
func guardModule(module *ast.Module) ([]string, error) {
	if !module.Package.Path.Equal(modulePath) {
		return nil, faultAt(module.Package.Location, "the package must be doorward.policy: %s", module.Package.Path)
	}
	if len(module.Rules) > maxRules {
		return nil, faultAt(module.Rules[maxRules].Location, "too many rules: at most %d are allowed", maxRules)
	}
	g := &guarder{}
	g.imports(module.Imports)
	uses := map[string]map[string]bool{}
	for _, rule := range module.Rules {
		name := firstName(rule)
		g.named(rule, name)
		if uses[name] == nil {
			uses[name] = map[string]bool{}
		}
		g.used = uses[name]
		g.rule(rule)
		if g.err != nil {
			return nil, g.err
		}
	}
	if g.err != nil {
		return nil, g.err
	}
	return wordsOf(module, uses)
}

// firstName is the name that a rule has first of all, such as a of a.b[c].
func firstName(rule *ast.Rule) string {
	name, _ := rule.Head.Reference[0].Value.(ast.Var)
	return string(name)
}

func (g *guarder) imports(imports []*ast.Import) {
	for _, i := range imports {
		path, ok := i.Path.Value.(ast.Ref)
		if !ok || len(path) == 0 || (!path.Equal(ast.RegoV1CompatibleRef) && !path[0].Equal(ast.InputRootDocument)) {
			g.fail(i.Location, "a module imports rego.v1 and parts of the input only: %s", i.Path)
		}
	}
}

// named checks a rule's name and, of the words that are asked for, its shape.
func (g *guarder) named(rule *ast.Rule, name string) {
	for builtin := range ast.BuiltinMap {
		if first, _, _ := strings.Cut(builtin, "."); first == name {
			g.fail(rule.Location, "a rule has the name of a built-in function: give it another: %s", name)
		}
	}
	if !slices.Contains(moduleWords, name) {
		return
	}
	head := rule.Head
	if head.RuleKind() != ast.MultiValue || len(head.Reference) != 1 || len(head.Args) > 0 || rule.Default || rule.Else != nil {
		g.fail(rule.Location, "%s is a set: write \"%s contains ... if { ... }\"", name, name)
	}
}

// wordsOf returns the words that a module defines. A rule that none of them rests on
// would be a misspelt one, which must not pass for a policy without it.
func wordsOf(module *ast.Module, uses map[string]map[string]bool) ([]string, error) {
	var words, next []string
	for _, word := range moduleWords {
		if uses[word] != nil {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return nil, faultAt(module.Package.Location, "the module decides nothing: define allow, deny or require_approval")
	}
	reached := map[string]bool{}
	for next = slices.Clone(words); len(next) > 0; {
		name := next[0]
		next = next[1:]
		if reached[name] {
			continue
		}
		reached[name] = true
		for used := range uses[name] {
			if uses[used] != nil {
				next = append(next, used)
			}
		}
	}
	for _, rule := range module.Rules {
		if name := firstName(rule); !reached[name] {
			return nil, faultAt(rule.Location, "rule %s is used by nothing: a module answers with allow, deny and require_approval", name)
		}
	}
	return words, nil
}
