// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/report"
)

// instanceTag is what the sessions' names of an instance begin with, so that each
// proxy knows which of those at the target are its own to judge. The nonce stays
// with the log, so that it is the same after a restart.
func instanceTag(instance, nonce string) string {
	sum := sha256.Sum256([]byte(instance + "\n" + nonce))
	tag := make([]byte, access.TagLength)
	for i := range tag {
		tag[i] = access.TagAlphabet[int(sum[i])%len(access.TagAlphabet)]
	}
	return string(tag)
}

// siblings are all live instances of the Connection, this one among them.
func (c *connection) siblings(ctx context.Context) ([]access.Sibling, error) {
	live, err := c.reporter.Instances(ctx)
	if err != nil {
		return nil, err
	}
	siblings := make([]access.Sibling, 0, len(live))
	for _, r := range live {
		siblings = append(siblings, access.Sibling{Tag: instanceTag(r.Instance, r.Nonce), Sees: r.Target.Sees()})
	}
	return siblings, nil
}

// target is what the report says of the target. What it holds of the target's own
// words is made printable, and nothing names the credential's role.
func (c *connection) target() *report.Target {
	t := &report.Target{Reached: map[string]time.Time{}}
	if s := c.snapshot(); s != nil {
		for _, target := range s.Targets {
			if at := c.gate.ReachedAt(target); !at.IsZero() {
				t.Reached[target.Address()] = at.UTC()
			}
		}
	}
	var trouble error
	if t.Watched, t.Blind, trouble = c.logins.State(); trouble != nil {
		// The error may name the credential's role; the proxy's own messages have it.
		t.Trouble = "a look at who is logged in failed: the proxy's own messages say why"
		var refusal *access.Refusal
		if errors.As(trouble, &refusal) {
			t.Trouble = shown(refusal.Message)
		}
	}
	for _, l := range c.gate.ForeignLogins() {
		if len(t.Foreign) == report.MaxForeign {
			break
		}
		found := report.ForeignLogin{
			Target: shown(l.Target.Address()), Login: shown(l.ID), OwnRole: l.OwnRole, Address: shown(l.Address),
			FoundAt: l.FoundAt.UTC(), SeenAt: l.SeenAt.UTC(),
		}
		if !l.OwnRole {
			found.Role = shown(l.Role)
		}
		t.Foreign = append(t.Foreign, found)
	}
	return t
}
