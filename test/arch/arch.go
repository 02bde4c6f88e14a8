// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Violation is one place that breaks the table.
type Violation struct {
	// File and Line of the import or the call, the file relative to the module.
	File string
	Line int
	// What is forbidden there, and why.
	What   string
	Reason string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", v.File, v.Line, v.What, v.Reason)
}

// Check reads the module at root, whose path is module, and returns what breaks the table, in
// the order of files. Files of every platform are read; test files, testdata, and modules
// below the root are not.
func Check(root, module string, table []Rule) ([]Violation, error) {
	var found []Violation
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return enter(root, name, entry)
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return fmt.Errorf("cannot name a file: %w", err)
		}
		violations, err := checkFile(name, filepath.ToSlash(relative), module, table)
		found = append(found, violations...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the module: %w", err)
	}
	return found, nil
}

// enter skips folders that hold no packages of this module.
func enter(root, name string, entry fs.DirEntry) error {
	if name == root {
		return nil
	}
	if base := entry.Name(); base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); !errors.Is(err, fs.ErrNotExist) {
		return fs.SkipDir
	}
	return nil
}

// checkFile checks one file.
func checkFile(name, relative, module string, table []Rule) ([]Violation, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", relative, err)
	}
	importer := path.Dir(relative)
	rule := ruleFor(table, importer)
	var found []Violation
	at := func(node ast.Node, what, reason string) {
		found = append(found, Violation{File: relative, Line: files.Position(node.Pos()).Line, What: what, Reason: reason})
	}
	if rule == nil {
		at(file.Name, fmt.Sprintf("package %q is not in the import table", importer), "add a rule with its reason to test/arch/table.go")
		return found, nil
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("cannot read an import of %q: %w", relative, err)
		}
		if reason := forbidden(rule, importer, imported, module); reason != "" {
			at(spec, fmt.Sprintf("%q imports %q", importer, imported), reason)
		}
	}
	if matches("proxy/protocol/...", importer) && !matchesAny(testKits, importer) {
		dials(file, func(node ast.Node, what string) {
			at(node, what, "a protocol reaches its target through the Grant, which has put the decision on record")
		})
	}
	return found, nil
}

// forbidden returns why the import is not allowed, or "".
func forbidden(rule *Rule, importer, imported, module string) string {
	ours, isOurs := strings.CutPrefix(imported, module+"/")
	if !isOurs {
		for _, confined := range Confined {
			if matchesAny(confined.Modules, imported) && !matchesAny(confined.By, importer) {
				return confined.Reason
			}
		}
		isStandard := !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
		if isStandard || rule.Third == nil || matchesAny(rule.Third, imported) {
			return ""
		}
		return rule.Reason
	}
	for _, restricted := range Importable {
		if !matchesAny(restricted.Packages, ours) {
			continue
		}
		if !matchesAny(restricted.By, importer) {
			return restricted.Reason
		}
		break
	}
	within := ours == importer || strings.HasPrefix(ours, importer+"/")
	if within || matchesAny(rule.May, ours) || sameFolder(rule, importer, ours) {
		return ""
	}
	return rule.Reason
}

// sameFolder says whether both packages lie in the folder that a "x/*" pattern of the rule
// stands for, so that the packages of one protocol may import each other.
func sameFolder(rule *Rule, importer, imported string) bool {
	return slices.ContainsFunc(rule.Packages, func(pattern string) bool {
		parent, isStar := strings.CutSuffix(pattern, "/*")
		if !isStar || !matches(pattern, importer) || !matches(pattern, imported) {
			return false
		}
		child := func(p string) string { return strings.SplitN(strings.TrimPrefix(p, parent+"/"), "/", 2)[0] }
		return child(importer) == child(imported)
	})
}

// ruleFor returns the rule whose pattern for the package is the most specific, or nil.
func ruleFor(table []Rule, pkg string) *Rule {
	var best *Rule
	bestScore := -1
	for i := range table {
		for _, pattern := range table[i].Packages {
			if score := specificity(pattern); score > bestScore && matches(pattern, pkg) {
				best, bestScore = &table[i], score
			}
		}
	}
	return best
}

// specificity orders patterns: deeper first, then exact before "*" before "...".
func specificity(pattern string) int {
	score := 3 * strings.Count(pattern, "/")
	switch path.Base(pattern) {
	case "...":
		return score - 3
	case "*":
		return score - 2
	default:
		return score + 2
	}
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, pkg) })
}

// matches says whether the pattern of a [Rule] covers the package.
func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == prefix || strings.HasPrefix(pkg, prefix+"/")
	}
	if prefix, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(pkg, prefix+"/")
	}
	return pattern == pkg
}

// dialers are the standard packages whose Dial functions and Dialer types open connections.
var dialers = []string{"net", "crypto/tls"}

// dials reports every use of a name of a dialing package that starts with "Dial".
func dials(file *ast.File, report func(ast.Node, string)) {
	names := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !slices.Contains(dialers, imported) {
			continue
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			report(spec, fmt.Sprintf("dot import of %q hides a dial", imported))
			continue
		}
		names[name] = imported
	}
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		base, ok := selector.X.(*ast.Ident)
		if ok && names[base.Name] != "" && strings.HasPrefix(selector.Sel.Name, "Dial") {
			report(selector, fmt.Sprintf("use of %s.%s", names[base.Name], selector.Sel.Name))
		}
		return true
	})
}
