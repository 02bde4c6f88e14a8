// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
	_ "time/tzdata" // a manager's image has no time zones of its own

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
)

// weekdays are the days as both sides write them.
var weekdays = map[v1alpha1.Weekday]time.Weekday{
	"Monday": time.Monday, "Tuesday": time.Tuesday, "Wednesday": time.Wednesday, "Thursday": time.Thursday,
	"Friday": time.Friday, "Saturday": time.Saturday, "Sunday": time.Sunday,
}

// conditionsFit says what is wrong with conditions that admission could not see, or
// that were stored under another definition.
func conditionsFit(all []v1alpha1.PolicyCondition) error {
	for i := range all {
		c := &all[i]
		shared := c.Type == v1alpha1.PolicyConditionSharedCredential
		if shared && (c.Schedule != nil || len(c.SourceCIDRs) > 0) {
			return fmt.Errorf("spec.when[%d]: type SharedCredential has neither schedule nor sourceCIDRs", i)
		}
		if !shared && (c.Schedule != nil) == (len(c.SourceCIDRs) > 0) {
			return fmt.Errorf("spec.when[%d]: schedule or sourceCIDRs is needed, and not both", i)
		}
		for _, source := range c.SourceCIDRs {
			if _, err := netip.ParsePrefix(source); err != nil {
				return fmt.Errorf("spec.when[%d].sourceCIDRs: want a network in CIDR notation: %q", i, source)
			}
		}
		if c.Schedule == nil {
			continue
		}
		if _, err := time.LoadLocation(c.Schedule.TimeZone); err != nil || c.Schedule.TimeZone == "" || c.Schedule.TimeZone == "Local" {
			return fmt.Errorf("spec.when[%d].schedule.timeZone: no such name in the IANA time zone database, such as Europe/Berlin: %q", i, c.Schedule.TimeZone)
		}
		for j, w := range c.Schedule.Windows {
			_, start := minuteOf(w.Start)
			_, end := minuteOf(w.End)
			if !start || !end || slices.ContainsFunc(w.Days, func(d v1alpha1.Weekday) bool { _, ok := weekdays[d]; return !ok }) {
				return fmt.Errorf("spec.when[%d].schedule.windows[%d]: want days of the week, and times such as 08:30: %v, %q, %q", i, j, w.Days, w.Start, w.End)
			}
		}
	}
	return nil
}

// sharedFits says that a policy would allow only callers whose credential is shared.
func sharedFits(p *written) error {
	if !slices.ContainsFunc(p.when, func(c v1alpha1.PolicyCondition) bool { return c.Type == v1alpha1.PolicyConditionSharedCredential }) {
		return nil
	}
	for i := range p.rules {
		if p.rules[i].Effect == v1alpha1.EffectAllow {
			return fmt.Errorf("rule %q: under the condition SharedCredential it would allow only those whose credential is shared: write a Deny or RequireApproval rule", p.rules[i].Name)
		}
	}
	return nil
}

// minuteOf is a time of day in minutes since midnight.
func minuteOf(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil
}

func compileConditions(all []v1alpha1.PolicyCondition) []policy.Condition {
	var conditions []policy.Condition
	for i := range all {
		c := &all[i]
		if c.Type == v1alpha1.PolicyConditionSharedCredential {
			conditions = append(conditions, policy.Condition{SharedCredential: true})
			continue
		}
		if c.Schedule == nil {
			conditions = append(conditions, policy.Condition{Sources: c.SourceCIDRs})
			continue
		}
		schedule := &policy.Schedule{TimeZone: c.Schedule.TimeZone}
		for _, w := range c.Schedule.Windows {
			start, _ := minuteOf(w.Start)
			end, _ := minuteOf(w.End)
			window := policy.TimeWindow{Start: start, End: end}
			for _, day := range w.Days {
				window.Days = append(window.Days, weekdays[day])
			}
			slices.Sort(window.Days)
			schedule.Windows = append(schedule.Windows, window)
		}
		conditions = append(conditions, policy.Condition{Schedule: schedule})
	}
	return conditions
}
