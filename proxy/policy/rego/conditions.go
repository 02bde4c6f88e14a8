// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"github.com/doorward/doorward/proxy/policy"
)

// conditionData is what the library reads of a policy's conditions.
func conditionData(conditions []policy.Condition) []any {
	data := make([]any, 0, len(conditions))
	for i := range conditions {
		c := &conditions[i]
		if c.SharedCredential {
			data = append(data, map[string]any{"sharedCredential": true})
			continue
		}
		if c.Schedule == nil {
			data = append(data, map[string]any{"sources": anys(c.Sources)})
			continue
		}
		data = append(data, map[string]any{"timeZone": c.Schedule.TimeZone, "windows": windowData(c.Schedule)})
	}
	return data
}

func windowData(s *policy.Schedule) []any {
	windows := make([]any, 0, len(s.Windows))
	for _, w := range s.Windows {
		days := make([]any, len(w.Days))
		for i, day := range w.Days {
			days[i] = day.String()
		}
		windows = append(windows, map[string]any{"days": days, "start": w.Start, "end": w.End})
	}
	return windows
}

// scheduled says whether the clock alone can change whether the policy is in force.
func scheduled(p *policy.Policy) bool {
	for i := range p.When {
		if p.When[i].Schedule != nil {
			return true
		}
	}
	return false
}
