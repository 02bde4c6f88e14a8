// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/doorward/doorward/proxy/policy"
)

// customRule is the name of the rule that decisions of modules rest on.
const customRule = "rego"

// custom is one thing that a module says about an operation: an answer that the library
// reads beside the rules.
type custom struct {
	effect   policy.Effect
	position int
	covers   bool
	rule     compiledRule
}

// slots bound how many modules run at a time, hence the memory that all of them take.
// They compute and wait for nothing, so that more than there are processors would gain
// nothing.
var slots = make(chan struct{}, runtime.GOMAXPROCS(0))

// asked are modules' answers about one operation: each module is asked once, also where
// it counts for the decision and for what it would be.
type asked struct {
	standing *standing
	op       policy.Operation
	now      time.Time
	input    *ast.Term
	answers  map[int][]custom
}

// of returns what the modules of a scope say. An error is that of ctx: a module that
// fails denies.
func (a *asked) of(ctx context.Context, in *scope) ([]custom, error) {
	var all []custom
	for _, number := range in.modules {
		answers, known := a.answers[number]
		if !known {
			var err error
			if answers, err = a.ask(ctx, number); err != nil {
				return nil, err
			}
			if a.answers == nil {
				a.answers = map[int][]custom{}
			}
			a.answers[number] = answers
		}
		_, granting := slices.BinarySearch(in.granting, number)
		for _, answer := range answers {
			answer.covers = answer.covers && granting
			all = append(all, answer)
		}
	}
	return all, nil
}

// ask asks one module. What goes wrong in it is a Deny of its policy.
func (a *asked) ask(ctx context.Context, number int) ([]custom, error) {
	p, m := &a.standing.engine.compiled.set.Policies[number], a.standing.engine.compiled.modules[number]
	if m.fault != nil {
		return failed(p, m.fault), nil //nolint:nilerr // A module at fault is an answer.
	}
	if a.input == nil {
		a.input = a.standing.inputTerm(a.op, a.now)
	}
	answers, err := m.answer(ctx, p, a.input)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("cannot decide operation: %w", ctx.Err())
	}
	if err != nil {
		return failed(p, err), nil
	}
	return answers, nil
}

// failed is the answer of a module that has none. The caller is told which policy it is,
// the operators why.
func failed(p *policy.Policy, cause error) []custom {
	rule := customOf(p)
	rule.message = fmt.Sprintf("AccessPolicy %q cannot decide it", p.Name)
	rule.cause = moduleCause(p, cause)
	return []custom{{effect: policy.Deny, rule: rule}}
}

func customOf(p *policy.Policy) compiledRule {
	ref := refOf(p)
	ref.Rule = customRule
	return compiledRule{ref: ref}
}

// answer evaluates the module within its bounds and reads what it says.
func (m *module) answer(ctx context.Context, p *policy.Policy, input *ast.Term) ([]custom, error) {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer, err := m.evaluate(ctx, input)
	if err != nil {
		return nil, err
	}
	operation, _ := input.Value.(ast.Object).Get(ast.InternedTerm("operation")).Value.(ast.Object)
	accesses, _ := operation.Get(ast.InternedTerm("accesses")).Value.(*ast.Array)
	return readAnswer(p, answer, accesses)
}

func (m *module) evaluate(ctx context.Context, input *ast.Term) (answer ast.Object, err error) {
	// A fault of the interpreter must not end the proxy.
	defer func() {
		if cause := recover(); cause != nil {
			answer, err = nil, fmt.Errorf("the module makes the interpreter fail: %v", cause)
		}
	}()
	b := newBudget(ctx)
	if err := b.admit(input); err != nil {
		return nil, fmt.Errorf("the operation is too large for the module: %w", err)
	}
	results, err := m.query.Eval(ctx, rego.EvalParsedInput(input.Value), rego.EvalExternalCancel(b), rego.EvalGenerateJSON(keepTerm))
	switch {
	case b.spent != nil:
		return nil, b.spent
	case err != nil:
		return nil, oneLine(err)
	case len(results) != 1 || len(results[0].Expressions) != 1:
		return nil, errors.New("the module gave no answer")
	}
	term, ok := results[0].Expressions[0].Value.(*ast.Term)
	if !ok {
		return nil, errors.New("the module gave no answer")
	}
	if answer, ok = term.Value.(ast.Object); !ok {
		return nil, fmt.Errorf("the module's answer is no object: %s", ast.ValueName(term.Value))
	}
	return answer, nil
}

// maxCause bounds what is told of an error, in bytes: it may quote the module's values.
const maxCause = 512

// oneLine is an error for a log: without the names of guards, and short.
func oneLine(err error) error {
	return errors.New(shortened(strings.ReplaceAll(strings.Join(strings.Fields(err.Error()), " "), guardPrefix, "")))
}

func shortened(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxCause)], "")
}

// decideCustom decides where modules bind the caller. Such decisions are not kept: a
// module looks at the clock, the caller and where he comes from.
func (e *Engine) decideCustom(ctx context.Context, in *scope, op policy.Operation, modules *asked) (*policy.Decision, error) {
	var answers []custom
	if len(op.Accesses) > 0 { // without any it is refused, and an answer would be about none
		var err error
		if answers, err = modules.of(ctx, in); err != nil {
			return nil, err
		}
	}
	return e.evaluateDecision(ctx, in, op, answers)
}

// compareRefs is the order in which a decision names its rules.
func compareRefs(a, b policy.RuleRef) int {
	return cmp.Or(
		strings.Compare(a.Policy, b.Policy), compareBool(a.Cluster, b.Cluster), strings.Compare(a.UID, b.UID),
		cmp.Compare(a.Generation, b.Generation), strings.Compare(a.Rule, b.Rule),
	)
}

// policyModule is a policy's module, or why it has none that works.
type policyModule struct {
	*module
	fault error
}

// addModule compiles a policy's module, and says whether it could let anything through.
// One that does not compile refuses whatever the policy is about: it is no reason to
// refuse those whom the policy does not bind.
func (c *compiled) addModule(ctx context.Context, number int, p *policy.Policy) (bool, error) {
	if p.Rego == "" {
		return false, nil
	}
	compiled, err := newModule(ctx, p.Rego)
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err()
	}
	c.modules[number] = &policyModule{compiled, err}
	return err == nil && compiled.lets(), nil
}
