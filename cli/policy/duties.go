// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// duty is a mask or a limit.
type duty struct {
	Policy string `json:"policy"`
	Name   string `json:"name,omitempty"`
	What   string `json:"what"`
	Source place  `json:"source"`
	// Exempt is the subject that keeps a mask from hiding anything; empty where the mask
	// is in force.
	Exempt string `json:"exempt,omitempty"`
}

// masks are those that hide something from the caller, and those of policies that apply to
// him which he is exempt from.
func (c *compiled) masks(ctx context.Context, deps *Dependencies, o outcome, policies []applied, q question) ([]duty, error) {
	type exemption struct{ mask, subject, number int }
	p := &probes{}
	var all []duty
	var exemptions []exemption
	var subjects []policy.Subject
	inForce := o.standing.Masks()
	for i := range c.snapshot.Policies.Policies {
		own := &c.snapshot.Policies.Policies[i]
		if !policies[i].Applies {
			continue
		}
		for j := range own.Masks {
			m := &own.Masks[j]
			d := duty{Policy: own.Name, Name: m.Name, What: maskWords(m), Source: c.origin(own.Name, own.Cluster).named("masks", m.Name)}
			if !slices.ContainsFunc(inForce, func(in policy.Mask) bool { return in.Policy == own.Name && in.Name == m.Name }) {
				d.Exempt = "exempt"
				for k := range m.Exempt {
					exemptions = append(exemptions, exemption{len(all), len(subjects), p.add([]policy.Subject{m.Exempt[k]}, nil)})
					subjects = append(subjects, m.Exempt[k])
				}
			}
			all = append(all, d)
		}
	}
	answers, err := p.ask(ctx, deps.Engine, q.caller, q.at)
	if err != nil {
		return nil, err
	}
	for _, e := range exemptions {
		if answers[e.number].permits {
			all[e.mask].Exempt = describe(&subjects[e.subject])
		}
	}
	return all, nil
}

func maskWords(m *policy.Mask) string {
	what := strings.Join(m.Fields, ", ")
	if len(m.Detect) > 0 {
		what = "content: " + strings.Join(m.Detect, ", ")
	}
	method := m.Method.Type
	if m.Method.Type == policy.KeepLast {
		method = fmt.Sprintf("%s %d", method, m.Method.KeepLast)
	}
	return method + " " + what
}

// limits are those that bound the caller.
func (c *compiled) limits(o outcome) []duty {
	var all []duty
	for _, l := range o.standing.Limits() {
		source := c.origin(l.Policy.Policy, l.Policy.Cluster).at("spec", "limits")
		for _, text := range limitWords(&l) {
			all = append(all, duty{Policy: l.Policy.Policy, What: text, Source: source})
		}
	}
	return all
}

func limitWords(l *policy.Limits) []string {
	var all []string
	say := func(maximum int64, format string, more ...any) {
		if maximum > 0 {
			all = append(all, fmt.Sprintf(format, append([]any{maximum}, more...)...))
		}
	}
	say(l.RowsPerStatement, "%d rows per statement")
	say(l.BytesPerStatement, "%d bytes per statement")
	for _, w := range l.Windows {
		say(w.Rows, "%d rows in %d s", w.Seconds)
		say(w.Bytes, "%d bytes in %d s", w.Seconds)
		say(w.Operations, "%d operations in %d s", w.Seconds)
	}
	say(l.SessionSeconds, "sessions of %d s")
	say(l.IdleSeconds, "%d s without doing anything")
	say(l.ConcurrentSessions, "%d sessions at the same time")
	say(l.OutliveTokenSeconds, "sessions go on for %d s after the token has expired")
	if l.OutliveTokenSeconds == policy.EndsWithToken {
		all = append(all, "sessions end with the token, since no OutliveTokenSeconds is set here")
	}
	return all
}
