// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package protocoltest

import (
	"context"
	"fmt"
	"sync"

	"github.com/doorward/doorward/proxy/access"
)

// Approvals asks the test: each question waits until the test answers it.
type Approvals struct {
	// Asked receives each question as it is asked.
	Asked chan *Pending

	mu    sync.Mutex
	count int
}

func newApprovals() *Approvals { return &Approvals{Asked: make(chan *Pending, 64)} }

// Ask implements access.Approvals.
func (a *Approvals) Ask(_ context.Context, question access.Question) (access.Pending, error) {
	a.mu.Lock()
	a.count++
	name := fmt.Sprintf("request-%d", a.count)
	a.mu.Unlock()
	p := &Pending{
		Question: question, Withdrawn: make(chan string, 1), outcome: make(chan access.Outcome, 1),
		request: access.Request{
			Namespace: question.Connection.Namespace, Name: name, UID: "uid-" + name,
			Digest: question.Operation.Digest, ExpiresAt: question.ExpiresAt,
		},
	}
	a.Asked <- p
	return p, nil
}

// Pending is one question that waits for the test.
type Pending struct {
	Question access.Question
	// Withdrawn receives the reason when the held operation goes away.
	Withdrawn chan string

	request access.Request
	outcome chan access.Outcome
}

// Approve lets the operation run.
func (p *Pending) Approve() {
	p.outcome <- access.Outcome{State: access.Approved, Approvers: []string{"bob@example.com"}}
}

// Deny refuses the operation.
func (p *Pending) Deny(message string) {
	p.outcome <- access.Outcome{State: access.Denied, Approvers: []string{"bob@example.com"}, Message: message}
}

// Request implements access.Pending.
func (p *Pending) Request() access.Request { return p.request }

// Wait implements access.Pending.
func (p *Pending) Wait(ctx context.Context) (access.Outcome, error) {
	select {
	case outcome := <-p.outcome:
		return outcome, nil
	case <-ctx.Done():
		return access.Outcome{}, ctx.Err()
	}
}

// Use implements access.Pending.
func (p *Pending) Use(context.Context) error { return nil }

// Withdraw implements access.Pending.
func (p *Pending) Withdraw(reason string) {
	select {
	case p.Withdrawn <- reason:
	default:
	}
}
