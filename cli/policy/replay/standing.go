// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// standingKey tells the callers apart. The minute is that of the record where the clock
// can change what policies apply.
type standingKey struct {
	connection *connection
	actor      string
	client     netip.Addr
	minute     int64
}

// standing is what the policies make of a caller.
type standing struct {
	caller *caller
	// cases are more than one where claims are not on record. None says that the policies
	// cannot be evaluated, so that a proxy would refuse.
	cases []policy.Standing
	// gap, where not empty, is why nothing can be decided; unclear is the gap of what
	// differs from case to case.
	gap, unclear gapName
	masks        []policy.Mask
	// masksDiffer from case to case.
	masksDiffer bool
}

// standing is what the policies make of the caller that a record names, or why that
// cannot be told.
func (w *worker) standing(ctx context.Context, d *line) (*connection, *standing, *gapName, error) {
	if d.Document.Connection == nil || len(d.Actor) == 0 {
		return nil, nil, &gapName{"Incomplete", connectionName(d), "the record names no Connection, or no caller"}, nil
	}
	on, err := w.candidates.of(ctx, d.Document.Connection)
	if err != nil {
		return nil, nil, nil, err
	}
	if on.gap != (gapName{}) {
		return on, nil, &on.gap, nil
	}
	key := standingKey{connection: on, actor: string(lasting(d.Actor))}
	if on.addresses {
		key.client = clientOf(&d.Document)
	}
	if on.scheduled {
		key.minute = d.Time.Unix() / 60
	}
	s := w.standings[key]
	if s == nil || s.over(d.Time) {
		if s, err = judge(ctx, on, d); err != nil {
			return nil, nil, nil, err
		}
		if len(w.standings) >= maxKept {
			clear(w.standings)
		}
		w.standings[key] = s
	}
	if s.gap != (gapName{}) {
		return on, nil, &s.gap, nil
	}
	return on, s, nil, nil
}

// lasting is a recorded caller without the id and the end of his token, which no policy
// looks at: they are the last members.
func lasting(actor []byte) []byte {
	if at := bytes.LastIndex(actor, []byte(`,"proofID":"`)); at >= 0 {
		return actor[:at]
	}
	if at := bytes.LastIndex(actor, []byte(`,"expiresAt":"`)); at >= 0 {
		return actor[:at]
	}
	return actor
}

// over says that the policies must be asked anew.
func (s *standing) over(now time.Time) bool {
	return slices.ContainsFunc(s.cases, func(in policy.Standing) bool { return !in.Until().IsZero() && !now.Before(in.Until()) })
}

func judge(ctx context.Context, on *connection, d *line) (*standing, error) {
	var a record.ActorDocument
	if err := json.Unmarshal(d.Actor, &a); err != nil {
		return nil, err
	}
	s := &standing{caller: callerOf(&a)}
	if s.caller.lost {
		s.gap = gapName{"Incomplete", on.name, "a name of the caller, of his groups or claims was cut, or taken for a secret, when the record was written"}
		return s, nil
	}
	unknown, unread := unknownClaims(&on.Set, &s.caller.principal), unknownToModules(&on.Set, &s.caller.principal)
	if len(unknown)+len(unread) > 0 {
		s.unclear = gapName{
			"ClaimNotRecorded", on.name,
			"policies look at a claim that the record does not have (" + claimNames(append(unread, unknown...)) + "): a claim is on record from when a policy in force looks at it",
		}
		if len(unknown) > maxUnknownValues || len(unread) > 0 {
			s.gap = s.unclear
			return s, nil
		}
	}
	if on.shared && s.unclear == (gapName{}) {
		s.unclear = gapName{
			"SharedCredential", on.name,
			"policies hold for callers whose credential was found shared, which the record of an operation does not say",
		}
	}
	var err error
	s.cases, err = on.cases(ctx, s.caller.principal, policy.Circumstances{Time: d.Time, Client: clientOf(&d.Document)}, unknown)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return s, nil //nolint:nilerr // a proxy would refuse, and so does what has no cases
	}
	s.masks = s.cases[0].Masks()
	s.masksDiffer = slices.ContainsFunc(s.cases, func(other policy.Standing) bool { return !slices.Equal(namesOf(other.Masks()), namesOf(s.masks)) })
	return s, nil
}

// verdict is what an operation, or a session, comes to now.
type verdict struct {
	policy.Decision
	// rule is what decides; role is that of sessions.
	rule, role string
}

// errUnclear says that it depends on what is not on record.
var errUnclear = errors.New("it depends on a claim that is not on record")

// decide asks the policies in all cases. What cannot be evaluated is refused, as proxies
// do.
func (s *standing) decide(ctx context.Context, op policy.Operation, at time.Time) (*verdict, error) {
	return s.ask(ctx, func(in policy.Standing) (*verdict, error) {
		decision, err := in.Decide(ctx, op, at)
		return &verdict{Decision: decision, rule: rulesText(&decision)}, err
	})
}

// connect asks whether a session may begin, and with which role at the target.
func (s *standing) connect(ctx context.Context) (*verdict, error) {
	return s.ask(ctx, func(in policy.Standing) (*verdict, error) {
		decision, err := in.Connect(ctx)
		if err != nil {
			return nil, err
		}
		v := &verdict{Decision: decision, rule: rulesText(&decision)}
		if v.role, err = in.TargetRole(); err != nil {
			v.Effect, v.rule = policy.Deny, rolesConflict
		}
		return v, nil
	})
}

func (s *standing) ask(ctx context.Context, in func(policy.Standing) (*verdict, error)) (*verdict, error) {
	refused := &verdict{Decision: policy.Decision{Effect: policy.Deny}, rule: notEvaluated}
	if len(s.cases) == 0 {
		return refused, nil
	}
	var first *verdict
	for _, one := range s.cases {
		v, err := in(one)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			v = refused
		}
		switch {
		case first == nil:
			first = v
		case v.Effect != first.Effect || v.role != first.role:
			return nil, errUnclear
		}
	}
	return first, nil
}
