// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// The bounds of one evaluation of a user's module. Work is counted in expressions
// evaluated and in pieces of values made, so that it bounds memory as well as time and
// the same question gets the same answer on a busy machine. Time is what stops an
// evaluation whose single steps are slow.
const (
	maxWork     = 100_000
	maxTime     = 500 * time.Millisecond
	bytesOfWork = 64
	// maxValue bounds a value in bytes, as sizeOfTerm counts them.
	maxValue = 1 << 20
	// nodeSize is what a node of a value counts for besides its text.
	nodeSize = 16
)

var (
	errWork  = fmt.Errorf("the module does too much: more than %d steps", maxWork)
	errTime  = fmt.Errorf("the module takes too long: more than %s", maxTime)
	errValue = fmt.Errorf("a value of the module is too large: more than %d bytes", maxValue)
)

// budget is what is left to one evaluation. The interpreter asks Cancelled before each
// expression; built-in functions charge it for what they make. It belongs to one
// goroutine.
type budget struct {
	ctx   context.Context //nolint:containedctx // The interpreter's interface to stop it has none.
	left  int
	until time.Time
	// spent says what ran out; the evaluation is over then.
	spent error
}

var _ topdown.Cancel = (*budget)(nil)

func newBudget(ctx context.Context) *budget {
	return &budget{ctx: ctx, left: maxWork, until: time.Now().Add(maxTime)}
}

// Cancel ends the evaluation.
func (b *budget) Cancel() {
	if b.spent == nil {
		b.spent = context.Canceled
	}
}

// Cancelled counts a step, and says whether it was one too many.
func (b *budget) Cancelled() bool { return b.charge(1) != nil }

func (b *budget) charge(work int) error {
	if b.spent != nil {
		return b.spent
	}
	b.left -= work
	switch {
	case b.left < 0:
		b.spent = errWork
	case b.ctx.Err() != nil:
		b.spent = b.ctx.Err()
	case time.Now().After(b.until):
		b.spent = errTime
	}
	return b.spent
}

// admit charges for a value that was made, and refuses one that is too large.
func (b *budget) admit(value *ast.Term) error {
	size := sizeOfTerm(value, maxValue)
	if err := b.charge(size / bytesOfWork); err != nil {
		return err
	}
	if size > maxValue {
		b.spent = errValue
	}
	return b.spent
}

// sizeOfTerm is the size of a value written out in full, in bytes: parts that it holds
// several times count each time. It stops beyond limit.
func sizeOfTerm(term *ast.Term, limit int) int {
	size := nodeSize
	switch value := term.Value.(type) {
	case ast.String:
		size += len(value)
	case ast.Number:
		size += len(value)
	case *ast.Array:
		for i := 0; i < value.Len() && size <= limit; i++ {
			size += sizeOfTerm(value.Elem(i), limit-size)
		}
	case ast.Set:
		// A set of more elements than may be is not walked, which would sort it.
		if value.Len()*nodeSize > limit {
			return limit + 1
		}
		value.Until(func(element *ast.Term) bool {
			size += sizeOfTerm(element, limit-size)
			return size > limit
		})
	case ast.Object:
		if value.Len()*2*nodeSize > limit {
			return limit + 1
		}
		value.Until(func(key, element *ast.Term) bool {
			size += sizeOfTerm(key, limit-size)
			if size <= limit {
				size += sizeOfTerm(element, limit-size)
			}
			return size > limit
		})
	}
	return size
}

var errNoBudget = errors.New("policy/rego: internal error: a built-in function runs without bounds")

// budgetOf is the budget of the evaluation that a built-in function is called in.
func budgetOf(bctx topdown.BuiltinContext) (*budget, error) {
	if b, ok := bctx.Cancel.(*budget); ok {
		return b, nil
	}
	return nil, errNoBudget
}
