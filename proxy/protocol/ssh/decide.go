// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// asking is one operation that the client, or the target, wants.
type asking struct {
	// kind is the protocol's own word for it, statement the whole in one text.
	kind, statement string
	accesses        []policy.Access
	properties      []string
	// refuse is why it is never forwarded.
	refuse *access.Refusal
	// answers says that contents come back from the target, which masks would be about.
	answers bool
	// text says that they are text, in which detectors may look.
	text bool
	// unmetered says that it is not counted where limits have nothing left.
	readOnly, unmetered bool
	// tell shows the caller that it waits for approval; nil where there is no place for it, so
	// that what needs approval is refused.
	tell func(text string)
	// prompt says that what the caller asks besides is not answered before this is: it is refused
	// where it would wait for approvers of something else.
	prompt bool
}

// on is an operation of one access.
func on(kind, statement, action, resource string) asking {
	return asking{kind: kind, statement: statement, accesses: []policy.Access{{Action: action, Resource: resource}}, unmetered: true}
}

// decide puts an operation before the road, one at a time. It ends with ctx. The error is a
// refusal, on record, or that of ctx.
func (s *session) decide(ctx context.Context, a *asking) (*access.Permit, error) {
	over, held := ctx.Done(), s.held
	if a.refuse != nil {
		over = nil // it is on record, also where the session ends first
	}
	if !a.prompt {
		held = nil
	}
	select {
	case s.deciding <- struct{}{}:
		defer func() { <-s.deciding }()
	case <-held:
		return nil, s.refuseAhead(ctx, *a)
	case <-over:
		return nil, context.Cause(ctx)
	}
	a.sort()
	ask := access.Ask{
		Operation: record.Operation{Protocol: Name, Kind: a.kind, Statement: a.statement, Accesses: a.accesses, Properties: a.properties},
		Refuse:    a.refuse, ReadOnly: a.readOnly, Unmetered: a.unmetered, CheckMasks: a.checkMasks,
	}
	if a.tell != nil {
		decided := make(chan struct{})
		defer close(decided)
		ask.Hold = func(notice access.Notice) {
			s.serving.Go(func() { s.hold(decided) })
			a.tell(waiting(a.what(), notice, time.Now()))
		}
	}
	// What is held waits for approvers, which is not the caller's silence.
	done := s.work()
	permit, err := s.grant.Decide(ctx, ask)
	done()
	if err == nil && ctx.Err() != nil {
		// Whoever asked left while the record was written.
		permit.Done(outcome(canceled))
		return nil, context.Cause(ctx)
	}
	return permit, err
}

// hold says, until something held is decided, that it is held.
func (s *session) hold(decided <-chan struct{}) {
	for {
		select {
		case s.held <- struct{}{}:
		case <-decided:
			return
		}
	}
}

// refuseAhead refuses what cannot wait for its turn. It is on record when that comes.
func (s *session) refuseAhead(ctx context.Context, a asking) error {
	if a.prompt = false; a.refuse == nil {
		a.refuse = never("this cannot wait until something else is approved")
		a.refuse.Hint = "Ask for it again when that is decided."
	}
	if s.refusing.Add(1) > maxQueued {
		s.refusing.Add(-1)
		s.cancel(errCrowded)
		return errCrowded
	}
	s.serving.Go(func() {
		defer s.refusing.Add(-1)
		_, _ = s.decide(ctx, &a)
	})
	return a.refuse
}

// sort puts accesses and properties into the order that operations have, each once.
func (a *asking) sort() {
	slices.SortFunc(a.accesses, func(x, y policy.Access) int {
		if c := strings.Compare(x.Action, y.Action); c != 0 {
			return c
		}
		if c := strings.Compare(x.Resource, y.Resource); c != 0 {
			return c
		}
		if x.Indirect == y.Indirect {
			return 0
		}
		if y.Indirect { // what must be allowed comes first
			return -1
		}
		return 1
	})
	a.accesses = slices.CompactFunc(a.accesses, func(x, y policy.Access) bool { return x.Action == y.Action && x.Resource == y.Resource })
	slices.Sort(a.properties)
	a.properties = slices.Compact(a.properties)
}

// what is the operation in a notice.
func (a *asking) what() string {
	if len(a.statement) > 200 {
		return strings.ToValidUTF8(a.statement[:200], "") + "..."
	}
	return a.statement
}

// checkMasks refuses what would show contents where some must be hidden. Detectors look into
// what programs say; there are no fields, and what has lengths or is encrypted stays as it is.
func (a *asking) checkMasks(rules mask.Rules) error {
	if !a.answers || rules.Empty() || a.text && !rules.Named() {
		return nil
	}
	message := "masks are in force for you, and nothing can be masked in what this shows"
	if a.text {
		message = "masks of fields are in force for you, and what programs show has none"
	}
	return &access.Refusal{
		Reason: access.ReasonMasked, Message: message,
		Hint: "Ask an admin for an exemption, or for a policy without the mask: " + strings.Join(rules.Names(), ", "),
	}
}

// refusalOf is a refusal for the caller; nil where there is nobody left to tell.
func refusalOf(ctx context.Context, err error) *access.Refusal {
	var refusal *access.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	if ctx.Err() == nil {
		refusal = access.AsRefusal(err)
	}
	return refusal
}

// never refuses what no policy can allow.
func never(message string) *access.Refusal {
	return &access.Refusal{Reason: access.ReasonProtocol, Message: message}
}
