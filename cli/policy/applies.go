// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// applied is what a policy of the Connection is to the caller.
type applied struct {
	Policy string `json:"policy"`
	Kind   string `json:"kind"`
	Source place  `json:"source"`
	Mode   string `json:"mode"`
	// Applies says that it decides: what restricts in it holds. Permits says that what
	// it allows holds too.
	Applies bool `json:"applies"`
	Permits bool `json:"permits"`
	// Because are the subjects that the caller is, or why the policy does not apply.
	Because []string `json:"because"`
}

// asked are the places of a policy's answers among all.
type asked struct {
	whole, subjects  int
	each, unprovided []int
	parts            [][]int
	when             []int
}

// applications says of every policy of a set whether it applies to the caller, and why.
func applications(ctx context.Context, c *compiled, deps *Dependencies, q question) ([]applied, error) {
	p := &probes{}
	places := make([]asked, len(c.snapshot.Policies.Policies))
	for i := range c.snapshot.Policies.Policies {
		places[i] = p.about(&c.snapshot.Policies.Policies[i])
	}
	answers, err := p.ask(ctx, deps.Engine, q.caller, q.at)
	if err != nil {
		return nil, err
	}
	all := make([]applied, len(places))
	for i := range places {
		own := &c.snapshot.Policies.Policies[i]
		all[i] = verdict(own, places[i], answers, q)
		all[i].Kind, all[i].Source = kindOf(own.Cluster), c.origin(own.Name, own.Cluster).at("metadata", "name")
	}
	return all, nil
}

func (p *probes) about(own *policy.Policy) asked {
	a := asked{whole: p.add(own.Subjects, own.When), subjects: p.add(own.Subjects, nil)}
	for _, s := range own.Subjects {
		a.each = append(a.each, p.add([]policy.Subject{s}, nil))
		parts := make([]int, 0, len(s.All))
		for _, part := range s.All {
			parts = append(parts, p.add([]policy.Subject{part}, nil))
		}
		a.parts = append(a.parts, parts)
		s.Provider = ""
		a.unprovided = append(a.unprovided, p.add([]policy.Subject{s}, nil))
	}
	for _, condition := range own.When {
		a.when = append(a.when, p.add([]policy.Subject{{Kind: policy.Everyone}}, []policy.Condition{condition}))
	}
	return a
}

func verdict(own *policy.Policy, a asked, answers []answer, q question) applied {
	out := applied{Policy: own.Name, Mode: "Enforce", Applies: answers[a.whole].binds, Permits: answers[a.whole].permits && !own.Cluster}
	switch {
	case out.Applies:
		for i, number := range a.each {
			if answers[number].binds {
				out.Because = append(out.Because, describe(&own.Subjects[i]))
			}
		}
		if !own.Cluster && !out.Permits {
			out.Because = append(out.Because, restrictsOnly(answers[a.subjects].permits))
		}
	case !answers[a.subjects].binds:
		for i := range own.Subjects {
			out.Because = append(out.Because, missed(&own.Subjects[i], a, i, answers, &q.caller))
		}
	default:
		for i, number := range a.when {
			if !answers[number].binds {
				out.Because = append(out.Because, outside(&own.When[i], q.at))
			}
		}
	}
	if own.Audit {
		out.Mode, out.Applies, out.Permits = "Audit", false, false
		out.Because = append([]string{"mode Audit: it decides nothing, and records what it would have"}, out.Because...)
	}
	return out
}

// restrictsOnly says why what a policy allows does not hold for a caller whom it binds.
func restrictsOnly(subject bool) string {
	if subject {
		return "only what restricts in it: the caller's address is not known"
	}
	return "only what restricts in it: the caller acts for somebody, and no subject of it names a delegation (Actor, OnBehalfOfUser, OnBehalfOfGroup)"
}

// missed says why the caller is not a subject.
func missed(s *policy.Subject, a asked, i int, answers []answer, caller *identity.Principal) string {
	text := "subject: " + describe(s)
	if answers[a.unprovided[i]].binds {
		return fmt.Sprintf("%s: the caller is proven by %q", text, caller.Provider)
	}
	var not []string
	for j, number := range a.parts[i] {
		if !answers[number].binds {
			not = append(not, describe(&s.All[j]))
		}
	}
	if len(not) > 0 {
		return text + ": the caller is not " + strings.Join(not, " and not ")
	}
	if slices.Contains([]string{policy.Group, policy.OnBehalfOfGroup}, s.Kind) {
		if near := compile.Nearest(s.Name, caller.Groups); near != "" {
			return fmt.Sprintf("%s: the caller is in %q, which is spelt otherwise", text, near)
		}
	}
	return text
}

// describe names a subject to people.
func describe(s *policy.Subject) string {
	text := s.Kind
	switch s.Kind {
	case policy.AllOf:
		parts := make([]string, len(s.All))
		for i := range s.All {
			parts[i] = describe(&s.All[i])
		}
		text = strings.Join(parts, " and ")
	case policy.Claim:
		text += " " + s.Name + "=" + strings.Join(s.Values, "|")
	default:
		if s.Name != "" {
			text += " " + s.Name
		}
	}
	if s.Provider != "" {
		text += " of " + s.Provider
	}
	return text
}

// outside says of a condition that does not hold what it asks for.
func outside(c *policy.Condition, at policy.Circumstances) string {
	if c.SharedCredential {
		return "shared credential: the caller's is not known to be one"
	}
	if c.Schedule == nil {
		return fmt.Sprintf("source: %s is not in %s", at.Client.Unmap(), strings.Join(c.Sources, ", "))
	}
	windows := make([]string, 0, len(c.Schedule.Windows))
	for _, w := range c.Schedule.Windows {
		days := make([]string, 0, len(w.Days))
		for _, day := range w.Days {
			days = append(days, day.String()[:3])
		}
		windows = append(windows, fmt.Sprintf("%s %02d:%02d-%02d:%02d", strings.Join(days, ","), w.Start/60, w.Start%60, w.End/60, w.End%60))
	}
	local := at.Time
	if zone, err := time.LoadLocation(c.Schedule.TimeZone); err == nil {
		local = local.In(zone)
	}
	return fmt.Sprintf("schedule: %s in %s is not within %s", local.Format("Mon 15:04"), c.Schedule.TimeZone, strings.Join(windows, "; "))
}
