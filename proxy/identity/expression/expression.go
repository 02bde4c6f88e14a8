// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expression evaluates the CEL of IdentityProviders: over the claims of a
// token, and over the caller that was made of them. Expressions mean what they mean
// in Kubernetes' structured authentication configuration, since they are compiled by
// the API server's own compiler (k8s.io/apiserver/pkg/authentication/cel).
//
// Manager and proxies use this one package, so that what is accepted is what runs.
package expression

import (
	"context"
	"fmt"
	"strings"
	"sync"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"

	"github.com/doorward/doorward/proxy/identity"
)

// MaxLength bounds an expression, in bytes.
const MaxLength = 2048

// compiler is made once: it declares all of Kubernetes' functions.
var compiler = sync.OnceValue(authenticationcel.NewDefaultCompiler)

// Expression is compiled CEL. It is safe for concurrent use.
type Expression struct {
	field   string
	program celgo.Program
	tree    *ast.AST
}

// Mapping compiles an expression over claims that makes a value. The field names it
// in errors, which hold the place within the expression as line:column.
func Mapping(field, text string) (*Expression, error) {
	return compile(field, text, compiler().CompileClaimsExpression, &authenticationcel.ClaimMappingExpression{Expression: text})
}

// ClaimRule compiles a condition on claims.
func ClaimRule(field, text string) (*Expression, error) {
	return compile(field, text, compiler().CompileClaimsExpression, &authenticationcel.ClaimValidationCondition{Expression: text})
}

// UserRule compiles a condition on the caller that was made of them.
func UserRule(field, text string) (*Expression, error) {
	return compile(field, text, compiler().CompileUserExpression, &authenticationcel.UserValidationCondition{Expression: text})
}

type compileFunc func(authenticationcel.ExpressionAccessor) (authenticationcel.CompilationResult, error)

func compile(field, text string, by compileFunc, accessor authenticationcel.ExpressionAccessor) (*Expression, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("%s: expression is too long: %d bytes, at most %d are allowed", field, len(text), MaxLength)
	}
	result, err := by(accessor)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", field, oneLine(err.Error()))
	}
	return &Expression{field: field, program: result.Program, tree: result.AST.NativeRep()}, nil
}

// oneLine is CEL's report of faults without the lines that draw the place: it is in
// "<input>:line:column" already.
func oneLine(report string) string {
	var kept []string
	for line := range strings.Lines(report) {
		if !strings.HasPrefix(line, " |") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	return strings.ReplaceAll(strings.Join(kept, "; "), "ERROR: <input>:", "at ")
}

// Reads says whether the expression reads a claim by its name, as in claims.email,
// claims.?email and claims["email"].
func (e *Expression) Reads(claim string) bool {
	found := false
	ast.PreOrderVisit(e.tree.Expr(), ast.NewExprVisitor(func(at ast.Expr) { found = found || reads(at, claim) }))
	return found
}

func reads(at ast.Expr, claim string) bool {
	ofClaims := func(operand ast.Expr) bool { return operand.Kind() == ast.IdentKind && operand.AsIdent() == "claims" }
	switch at.Kind() { //nolint:exhaustive // no other reads a field by its name
	case ast.SelectKind:
		return at.AsSelect().FieldName() == claim && ofClaims(at.AsSelect().Operand())
	case ast.CallKind:
		call := at.AsCall()
		switch call.FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
			args := call.Args()
			return len(args) == 2 && ofClaims(args[0]) && args[1].Kind() == ast.LiteralKind && args[1].AsLiteral().Equal(types.String(claim)) == types.True
		}
	}
	return false
}

// Text is the value, which must be a string; "" for an empty one.
func (e *Expression) Text(ctx context.Context, input *Input) (string, error) {
	value, err := e.eval(ctx, input)
	if err != nil {
		return "", err
	}
	text, ok := value.(types.String)
	if !ok {
		return "", fmt.Errorf("%s: the expression must come to a string, for this token it came to %s", e.field, value.Type().TypeName())
	}
	return string(text), nil
}

// List is the value, which must be a string or a list of strings. Empty strings are
// left out; null is none.
func (e *Expression) List(ctx context.Context, input *Input) ([]string, error) {
	value, err := e.eval(ctx, input)
	if err != nil {
		return nil, err
	}
	elements := []ref.Val{value}
	switch list := value.(type) {
	case types.Null:
		return nil, nil
	case traits.Lister: // as a map is not, whose keys are nobody's groups
		elements = nil
		for it := list.Iterator(); it.HasNext() == types.True; {
			elements = append(elements, it.Next())
		}
	}
	var values []string
	for _, element := range elements {
		text, ok := element.(types.String)
		if !ok {
			return nil, fmt.Errorf("%s: the expression must come to a string or a list of strings, for this token it holds %s", e.field, element.Type().TypeName())
		}
		if text != "" {
			values = append(values, string(text))
		}
	}
	return values, nil
}

// Holds says whether the condition is true.
func (e *Expression) Holds(ctx context.Context, input *Input) (bool, error) {
	value, err := e.eval(ctx, input)
	if err != nil {
		return false, err
	}
	// The compiler has demanded a boolean.
	return value == types.True, nil
}

// Field is what the expression is called in errors.
func (e *Expression) Field() string { return e.field }

func (e *Expression) eval(ctx context.Context, input *Input) (ref.Val, error) {
	value, details, err := e.program.ContextEval(ctx, input.variables)
	if err != nil {
		return nil, fmt.Errorf("%s: the expression fails for this token: %s", e.field, identity.Shorten(err.Error()))
	}
	if err := input.spend(details); err != nil {
		return nil, fmt.Errorf("%s: %w", e.field, err)
	}
	return value, nil
}
