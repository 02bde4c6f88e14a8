// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// MaxModule bounds the text of a user's module, in bytes.
const MaxModule = 32 << 10

// The words of a module.
const (
	wordAllow   = "allow"
	wordDeny    = "deny"
	wordApprove = "require_approval"
)

var (
	moduleWords = []string{wordAllow, wordDeny, wordApprove}
	// modulePath is data.doorward.policy.
	modulePath = ast.Ref{ast.DefaultRootDocument, ast.StringTerm("doorward"), ast.StringTerm("policy")}
)

//go:embed schema/input.json
var inputSchema []byte

var parsedInputSchema = sync.OnceValue(func() *ast.SchemaSet {
	var schema any
	if err := json.Unmarshal(inputSchema, &schema); err != nil {
		panic("policy/rego: internal error: the schema of the input: " + err.Error()) //nolint:forbidigo // It is a part of this program.
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema)
	return set
})

// module is a user's module, ready to be asked.
type module struct {
	query rego.PreparedEvalQuery
	// words are those of moduleWords that it defines.
	words []string
	// claims are those of the caller's token that it reads.
	claims []string
}

// lets says whether the module could let an operation through.
func (m *module) lets() bool {
	return slices.Contains(m.words, wordAllow) || slices.Contains(m.words, wordApprove)
}

// CheckModule says what is wrong with the text of a user's module, as "line:column: what",
// and which claims of the caller's token one without fault reads, sorted. A module without
// fault is one that an Engine asks; any other denies.
func CheckModule(ctx context.Context, text string) (claims []string, err error) {
	m, err := newModule(ctx, text)
	if err != nil {
		return nil, err
	}
	return m.claims, nil
}

// newModule compiles a user's module by itself.
func newModule(ctx context.Context, text string) (made *module, err error) {
	// The compiler is not made for texts of people who may mean harm.
	defer func() {
		if cause := recover(); cause != nil {
			made, err = nil, fmt.Errorf("the module makes the compiler fail: %v", cause)
		}
	}()
	parsed, err := parseModule(text)
	if err != nil {
		return nil, err
	}
	claims, claimFault := moduleClaims(parsed) // of the text as it is written
	words, err := guardModule(parsed)
	if err != nil {
		return nil, err
	}
	if claimFault != nil {
		return nil, claimFault
	}
	options := []func(*rego.Rego){
		rego.ParsedModule(parsed),
		rego.ParsedQuery(moduleQuery(words)),
		rego.Store(inmem.NewFromObjectWithOpts(map[string]any{}, inmem.OptReturnASTValuesOnRead(true))),
		rego.Capabilities(guardedCapabilities()),
		rego.Schemas(parsedInputSchema()),
		rego.StrictBuiltinErrors(true),
		rego.Strict(true),
	}
	for i := range guards {
		options = append(options, rego.FunctionDyn(guards[i].declaration, guards[i].run))
	}
	query, err := rego.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil, firstFault(err)
	}
	return &module{query: query, words: words, claims: claims}, nil
}

func parseModule(text string) (*ast.Module, error) {
	if text == "" || len(text) > MaxModule {
		return nil, fmt.Errorf("a module of 1 to %d bytes is needed: it has %d", MaxModule, len(text))
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("the module is not UTF-8")
	}
	if err := checkBrackets(text); err != nil {
		return nil, err
	}
	parsed, err := ast.ParseModuleWithOpts("", text, ast.ParserOptions{Capabilities: moduleCapabilities(), RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, firstFault(err)
	}
	return parsed, nil
}

// moduleQuery asks for the rules that the module defines.
func moduleQuery(words []string) ast.Body {
	answer := ast.NewObject()
	for _, word := range words {
		answer.Insert(ast.StringTerm(word), ast.NewTerm(append(slices.Clone(modulePath), ast.StringTerm(word))))
	}
	return ast.NewBody(ast.NewExpr(ast.NewTerm(answer)))
}

// firstFault is the first of a compiler's errors, in a form that names line and column.
func firstFault(err error) error {
	var several ast.Errors
	if !errors.As(err, &several) || len(several) == 0 {
		return err
	}
	first := several[0]
	for _, other := range several {
		if first.Location == nil || (other.Location != nil && other.Location.Row < first.Location.Row) {
			first = other
		}
	}
	message := strings.ReplaceAll(first.Message, guardPrefix, "")
	if first.Details != nil {
		for _, line := range first.Details.Lines() {
			// The others repeat the line of the module.
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "have") || strings.HasPrefix(line, "want") || strings.HasPrefix(line, "expected") || strings.HasPrefix(line, "reason") {
				message += "; " + line
			}
		}
	}
	return faultAt(first.Location, "%s", message)
}
