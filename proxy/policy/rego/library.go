// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// evaluationTimeout bounds one evaluation. It takes tens of microseconds; one
// that does not end within this time is an error, hence a refusal.
const evaluationTimeout = 5 * time.Second

//go:embed library.rego
var library string

// compiledLibrary is the library with its two questions, compiled once for all engines:
// what differs between them is data. Nothing changes a compiler after that.
var compiledLibrary = sync.OnceValues(func() (*questions, error) {
	module, err := ast.ParseModule("library.rego", library)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the policy library: %w", err)
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
	if compiler.Compile(map[string]*ast.Module{"library.rego": module}); compiler.Failed() {
		return nil, fmt.Errorf("cannot compile the policy library: %w", compiler.Errors)
	}
	asked := &questions{compiler: compiler}
	for name, into := range map[string]*question{"standing": &asked.standing, "decision": &asked.decision} {
		into.queries = compiler.QueryCompiler()
		if into.query, err = into.queries.Compile(ast.MustParseBody("data.doorward." + name + " = " + string(answerVar))); err != nil {
			return nil, fmt.Errorf("cannot compile the policy library: %w", err)
		}
	}
	return asked, nil
})

// answerVar is the variable of a question that holds the answer.
const answerVar ast.Var = "answer"

// questions are the library, and what it is asked.
type questions struct {
	compiler           *ast.Compiler
	standing, decision question
}

// question is a compiled query.
type question struct {
	queries ast.QueryCompiler
	query   ast.Body
}

// ask returns the one answer to a question. No answer, or more than one, is an error. It
// goes past the rego package, whose set-up would take a good part of the time.
func (q *questions) ask(ctx context.Context, what *question, store storage.Store, input ast.Object) (ast.Object, error) {
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	d := deadline{ctx: ctx, until: time.Now().Add(evaluationTimeout)}
	var answers []*ast.Term
	err = topdown.NewQuery(what.query).WithQueryCompiler(what.queries).WithCompiler(q.compiler).
		WithStore(store).WithTransaction(txn).WithMetrics(metrics.NoOp()).WithCancel(&d).WithStrictBuiltinErrors(true).
		WithInput(ast.NewTerm(input)).
		Iter(ctx, func(result topdown.QueryResult) error { answers = append(answers, result[answerVar]); return nil })
	// An evaluation that was stopped may end without an error and without its answer.
	if stopped := d.err(); stopped != nil {
		return nil, stopped
	}
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 || answers[0] == nil {
		return nil, errors.New("the library gave no answer")
	}
	answer, ok := answers[0].Value.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("the library's answer is no object: %s", ast.ValueName(answers[0].Value))
	}
	return answer, nil
}

// deadlineSteps is after how many steps of the interpreter the clock is looked at.
const deadlineSteps = 64

// deadline ends an evaluation with its context, or after evaluationTimeout. The
// interpreter asks it before each expression; other than a timer it costs next to nothing.
// It belongs to one goroutine.
type deadline struct {
	ctx   context.Context //nolint:containedctx // The interpreter's interface to stop it has none.
	until time.Time
	steps int
	over  bool
}

var _ topdown.Cancel = (*deadline)(nil)

// Cancel ends the evaluation.
func (d *deadline) Cancel() { d.over = true }

// Cancelled says whether the evaluation must end.
func (d *deadline) Cancelled() bool {
	if d.steps%deadlineSteps == 0 && !d.over {
		d.over = d.ctx.Err() != nil || time.Now().After(d.until)
	}
	d.steps++
	return d.over
}

func (d *deadline) err() error {
	switch {
	case d.ctx.Err() != nil:
		return d.ctx.Err()
	case d.over:
		return context.DeadlineExceeded
	}
	return nil
}
