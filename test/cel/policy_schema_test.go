// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"maps"
	"strings"
	"testing"
)

// with returns edits and one more.
func with(before edits, path string, value any) edits {
	after := maps.Clone(before)
	after[path] = value
	return after
}

// sampleField is a field of the sample AccessPolicy.
func sampleField(path string) any { return field(sample("accesspolicy.yaml").Object, path) }

func list(words ...string) []any {
	items := make([]any, 0, len(words))
	for _, word := range words {
		items = append(items, word)
	}
	return items
}

func TestAccessPolicyLimitSchema(t *testing.T) {
	limit := func(kind string, maximum, seconds int64) edits {
		l := map[string]any{"type": kind, "maximum": maximum}
		if seconds != 0 {
			l["windowSeconds"] = seconds
		}
		return edits{"spec.limits": []any{l}}
	}
	many := make([]any, 17)
	for i := range many {
		many[i] = map[string]any{"type": "RowsPerStatement", "maximum": int64(1)}
	}
	role := func(name string) edits { return edits{"spec.targetRole": name} }
	tryCreate(t, "accesspolicy.yaml", map[string]schemaCase{
		"Rows":           {reason: "rows of a statement", changes: limit("RowsPerStatement", 1, 0)},
		"Bytes":          {reason: "bytes of a statement", changes: limit("BytesPerStatement", 1_000_000_000_000_000, 0)},
		"RowsWindow":     {reason: "rows in a second", changes: limit("RowsPerWindow", 1, 1)},
		"BytesWindow":    {reason: "bytes in a week", changes: limit("BytesPerWindow", 1, 604800)},
		"Operations":     {reason: "operations in a minute", changes: limit("OperationsPerWindow", 1, 60)},
		"Session":        {reason: "how long a session lasts", changes: limit("SessionSeconds", 1, 0)},
		"Idle":           {reason: "how long it does nothing", changes: limit("IdleSeconds", 1, 0)},
		"Concurrent":     {reason: "how many there are", changes: limit("ConcurrentSessions", 1, 0)},
		"Outlive":        {reason: "half a day after the token", changes: limit("OutliveTokenSeconds", 43200, 0)},
		"OutliveLong":    {reason: "a session without end is no session", changes: limit("OutliveTokenSeconds", 43201, 0), want: "at most 43200"},
		"OutliveTypo":    {reason: "checklist 40", changes: limit("OutlivesTokenSeconds", 60, 0), want: "Unsupported value"},
		"OpsNoWindow":    {reason: "union", changes: limit("OperationsPerWindow", 1, 0), want: "windowSeconds is required"},
		"SessionWindow":  {reason: "union", changes: limit("SessionSeconds", 1, 60), want: "forbidden otherwise"},
		"Type":           {reason: "enum", changes: limit("Rows", 1, 0), want: "Unsupported value"},
		"Zero":           {reason: "what nobody may read needs no limit but no rule", changes: limit("RowsPerStatement", 0, 0), want: "maximum"},
		"Negative":       {reason: "no bound", changes: limit("RowsPerStatement", -1, 0), want: "maximum"},
		"Huge":           {reason: "bounded", changes: limit("BytesPerStatement", 1_000_000_000_000_001, 0), want: "maximum"},
		"NoWindow":       {reason: "checklist 40: union", changes: limit("RowsPerWindow", 1, 0), want: "windowSeconds is required"},
		"Window":         {reason: "union", changes: limit("BytesPerStatement", 1, 60), want: "windowSeconds is required when type is RowsPerWindow, BytesPerWindow or OperationsPerWindow, and forbidden otherwise"},
		"NegativeWindow": {reason: "at least a second", changes: limit("RowsPerWindow", 1, -1), want: "windowSeconds"},
		"LongWindow":     {reason: "at most a week", changes: limit("RowsPerWindow", 1, 604801), want: "windowSeconds"},
		"Many":           {reason: "bounded", changes: edits{"spec.limits": many}, want: "spec.limits"},

		"RoleNone":    {reason: "that of the credential, in words", changes: role("")},
		"Role":        {reason: "whatever the target calls a role", changes: role("Shop Analyst é")},
		"RoleLongest": {reason: "63 bytes", changes: role(strings.Repeat("r", 63))},
		"RoleLong":    {reason: "the target would cut it off", changes: role(strings.Repeat("r", 64)), want: "targetRole"},
		"RoleBytes":   {reason: "bytes are counted", changes: role(strings.Repeat("é", 32)), want: "at most 63 bytes"},
		"RoleControl": {reason: "checklist 48: no control characters", changes: role("a\nb"), want: "targetRole"},
	})
}
