// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// accessConnect stands for a session where operations have their access.
const accessConnect = "connect"

// attributeTargetRole is the attribute of a session's start that names the role at the
// target.
const attributeTargetRole = "targetRole"

// session decides again whether a session may begin, and with which role at the target.
func (w *worker) session(ctx context.Context, d *line, at where) error {
	w.tally.sessions++
	refused := d.Type == record.SessionRefused
	if refused {
		if byPolicies, word := turnedAway(&d.Document); !byPolicies {
			return count(w.tally.otherwise, gapName{word, connectionName(d), "refused whatever the policies say"}, 1, at)
		}
	}
	on, s, gap, err := w.standing(ctx, d)
	if err != nil {
		return err
	}
	if gap != nil {
		return w.gap(gapName{gap.reason, gap.connection, "sessions: " + gap.detail}, at)
	}
	group := Name{Connection: on.name, Caller: s.caller.name, Access: accessConnect}
	now, err := s.connect(ctx)
	if errors.Is(err, errUnclear) {
		return w.gap(gapName{s.unclear.reason, s.unclear.connection, "sessions: " + s.unclear.detail}, at)
	}
	if err != nil {
		return err
	}
	group.Rule = now.rule
	switch {
	case refused && now.Effect != policy.Deny:
		group.Change = NewlyAdmitted
	case !refused && now.Effect == policy.Deny:
		group.Change = NewlyTurnedAway
	case !refused && now.role != roleOf(d):
		group.Change, group.Access = RoleChanged, "role "+shown(roleOf(d))+" to "+shown(now.role)
	default:
		return nil
	}
	return count(w.tally.groups, group, 1, at)
}

// over lets go of what the session left open: its results are there, or never will be.
func (w *worker) over(d *line) error {
	for key, m := range w.waiting {
		if key.log == d.Log && key.session == d.Session {
			delete(w.waiting, key)
			if err := w.unanswered(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func roleOf(d *line) string {
	for _, a := range d.Attributes {
		if a.Name == attributeTargetRole {
			role, _ := record.Original(a.Value)
			return role
		}
	}
	return ""
}

func shown(role string) string {
	if role == "" {
		return "of the credential"
	}
	return role
}
