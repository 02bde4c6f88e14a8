// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"encoding/json"
	"errors"
	"fmt"

	celgo "github.com/google/cel-go/cel"
)

// Budget bounds what all expressions of one token may cost together, in CEL's units.
// One by itself is bounded by the API server's own limit, half of it, which is some
// 0.1 s.
const Budget = 2_000_000

// Input is what expressions are evaluated over. It counts what they cost, and is for
// one goroutine.
type Input struct {
	variables map[string]any
	spent     *uint64
}

// Claims makes the input of mappings and rules about claims. Numbers are doubles, as
// the API server has them.
func Claims(all map[string]json.RawMessage) (*Input, error) {
	values := make(map[string]any, len(all))
	for name, raw := range all {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("claim is no JSON: %q", name)
		}
		values[name] = value
	}
	return &Input{variables: map[string]any{"claims": values}, spent: new(uint64)}, nil
}

// User is a caller as rules about users see him.
type User struct {
	Username, UID string
	Groups        []string
	Extra         map[string][]string
}

// Of makes the input of rules about users, which cost what is left of the budget.
func (i *Input) Of(user User) *Input {
	groups, extra := user.Groups, user.Extra
	if groups == nil {
		groups = []string{}
	}
	if extra == nil {
		extra = map[string][]string{}
	}
	return &Input{spent: i.spent, variables: map[string]any{"user": map[string]any{
		"username": user.Username, "uid": user.UID, "groups": groups, "extra": extra,
	}}}
}

func (i *Input) spend(details *celgo.EvalDetails) error {
	if details == nil || details.ActualCost() == nil {
		return errors.New("the cost of the expression is not known")
	}
	if *i.spent += *details.ActualCost(); *i.spent > Budget {
		return fmt.Errorf("the expressions cost too much for this token: %d, at most %d are allowed", *i.spent, Budget)
	}
	return nil
}
