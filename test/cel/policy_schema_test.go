// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
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

func TestAccessPolicySchema(t *testing.T) {
	rule := map[string]any{"effect": "Deny", "actions": []any{"select"}}
	mask := map[string]any{"fields": []any{"a"}, "method": map[string]any{"type": "Null"}}
	subject := map[string]any{"kind": "User", "identityProvider": "*"}
	approver := func(kind, name string) edits {
		return edits{"spec.rules.2.approval.approvers": []any{map[string]any{"kind": kind, "name": name}}}
	}
	nothing := edits{"spec.rules": []any{}, "spec.masks": []any{}, "spec.limits": []any{}, "spec.targetRole": ""}
	tryCreate(t, "accesspolicy.yaml", map[string]schemaCase{
		"Sample":     {reason: "the sample is valid"},
		"OnlyRules":  {reason: "rules alone", changes: with(nothing, "spec.rules", sampleField("spec.rules"))},
		"OnlyMasks":  {reason: "masks alone", changes: with(nothing, "spec.masks", sampleField("spec.masks"))},
		"OnlyLimits": {reason: "limits alone", changes: with(nothing, "spec.limits", sampleField("spec.limits"))},
		"OnlyRole":   {reason: "a role alone", changes: with(nothing, "spec.targetRole", "reader")},
		"AnyIdP":     {reason: "any provider is asked for in words", changes: edits{"spec.subjects.0.identityProvider": "*"}},

		"Neither":  {reason: "says nothing", changes: nothing, want: "at least one rule, mask or limit, a targetRole, or rego"},
		"NoLimits": {reason: "checklist 40: always written", changes: edits{"spec.limits": absent{}}, want: "spec.limits"},
		"NoRole":   {reason: "checklist 40: always written", changes: edits{"spec.targetRole": absent{}}, want: "spec.targetRole"},
		"NoRules":  {reason: "checklist 40: always written", changes: edits{"spec.rules": absent{}}, want: "spec.rules"},
		"NoMasks":  {reason: "checklist 40: always written", changes: edits{"spec.masks": absent{}}, want: "spec.masks"},
		"ManyRule": {reason: "bounded", changes: edits{"spec.rules": repeat(65, "name", rule)}, want: "spec.rules"},
		"ManyMask": {reason: "bounded", changes: edits{"spec.masks": repeat(65, "name", mask)}, want: "spec.masks"},

		"NoSubjects":      {reason: "required", changes: edits{"spec.subjects": absent{}}, want: "spec.subjects"},
		"EmptySubjects":   {reason: "at least one", changes: edits{"spec.subjects": []any{}}, want: "spec.subjects"},
		"ManySubjects":    {reason: "bounded", changes: edits{"spec.subjects": repeat(129, "name", subject)}, want: "spec.subjects"},
		"SubjectKind":     {reason: "enum", changes: edits{"spec.subjects.0.kind": "Everybody"}, want: "Unsupported value"},
		"SubjectName":     {reason: "not empty", changes: edits{"spec.subjects.0.name": ""}, want: "name"},
		"SubjectIdP":      {reason: "checklist 40: absent would be broader", changes: edits{"spec.subjects.0.identityProvider": absent{}}, want: "identityProvider"},
		"SubjectIdPGlob":  {reason: "a name, or '*' alone", changes: edits{"spec.subjects.0.identityProvider": "comp*"}, want: "identityProvider must be"},
		"NoConnections":   {reason: "required", changes: edits{"spec.connections": absent{}}, want: "spec.connections"},
		"ManyConnections": {reason: "bounded", changes: edits{"spec.connections": repeat(65, "name", nil)}, want: "spec.connections"},
		"ConnectionGlob":  {reason: "a glob", changes: edits{"spec.connections.0.name": "orders-*"}},
		"ConnectionBad":   {reason: "pattern", changes: edits{"spec.connections.0.name": "other/orders-db"}, want: "name"},

		"RuleTwice":        {reason: "names are unique", changes: edits{"spec.rules.3.name": "read"}, want: "Duplicate value"},
		"RuleName":         {reason: "pattern", changes: edits{"spec.rules.1.name": "Read all"}, want: "name"},
		"RuleEffect":       {reason: "enum", changes: edits{"spec.rules.1.effect": "Permit"}, want: "Unsupported value"},
		"RuleNoEffect":     {reason: "required", changes: edits{"spec.rules.1.effect": absent{}}, want: "effect"},
		"RuleNoActions":    {reason: "required", changes: edits{"spec.rules.1.actions": absent{}}, want: "actions"},
		"RuleManyActions":  {reason: "bounded", changes: edits{"spec.rules.1.actions": names(65)}, want: "actions"},
		"RuleAction":       {reason: "no spaces", changes: edits{"spec.rules.1.actions": []any{"drop table"}}, want: "actions"},
		"AllowNoResources": {reason: "checklist 40: absent would be broader", changes: edits{"spec.rules.1.resources": absent{}}, want: "resources is required when effect is Allow"},
		"AllowAll":         {reason: "everything is asked for in words", changes: edits{"spec.rules.1.resources": []any{"*"}}},
		"AllowProperties":  {reason: "checklist 40: absent would be broader", changes: edits{"spec.rules.1.properties": []any{"multiStatement"}}, want: "properties is forbidden when effect is Allow"},
		"ManyResources":    {reason: "bounded", changes: edits{"spec.rules.1.resources": names(65)}, want: "resources"},
		"ResourceControl":  {reason: "checklist 48: no control characters", changes: edits{"spec.rules.1.resources": []any{"a\nb"}}, want: "resources"},
		"Property":         {reason: "pattern", changes: edits{"spec.rules.3.properties": []any{"Unbounded Write"}}, want: "properties"},
		"ManyProperties":   {reason: "bounded", changes: edits{"spec.rules.3.properties": names(17)}, want: "properties"},
		"MessageLong":      {reason: "bounded", changes: edits{"spec.rules.3.message": longText(513)}, want: "message"},
		"MessageControl":   {reason: "checklist 48: no control characters", changes: edits{"spec.rules.3.message": "a\x1b[2K"}, want: "message"},

		"ApprovalMissing":   {reason: "union", changes: edits{"spec.rules.2.approval": absent{}}, want: "approval is required when effect is RequireApproval"},
		"ApprovalOnDeny":    {reason: "union", changes: edits{"spec.rules.2.effect": "Deny"}, want: "forbidden otherwise"},
		"NoApprovers":       {reason: "at least one", changes: edits{"spec.rules.2.approval.approvers": []any{}}, want: "approvers"},
		"NoMinimum":         {reason: "checklist 40: absent would be broader", changes: edits{"spec.rules.2.approval.minimum": absent{}}, want: "minimum"},
		"MinimumZero":       {reason: "at least one", changes: edits{"spec.rules.2.approval.minimum": int64(0)}, want: "minimum"},
		"MinimumHigh":       {reason: "at most ten", changes: edits{"spec.rules.2.approval.minimum": int64(11)}, want: "minimum"},
		"NoTimeout":         {reason: "checklist 40: absent would be another", changes: edits{"spec.rules.2.approval.timeoutSeconds": absent{}}, want: "timeoutSeconds"},
		"TimeoutLow":        {reason: "at least 10 s", changes: edits{"spec.rules.2.approval.timeoutSeconds": int64(9)}, want: "timeoutSeconds"},
		"TimeoutHigh":       {reason: "at most a day", changes: edits{"spec.rules.2.approval.timeoutSeconds": int64(86401)}, want: "timeoutSeconds"},
		"ApproverSA":        {reason: "a service account in full", changes: approver("User", namedServiceAccount)},
		"ApproverAdmin":     {reason: "no other system user", changes: approver("User", "system:admin"), want: "must be one service account"},
		"ApproverSAPrefix":  {reason: "not half a service account", changes: approver("User", "system:serviceaccount:shop"), want: "must be one service account"},
		"ApproverMasters":   {reason: "no system group", changes: approver("Group", "system:masters"), want: "cannot approve"},
		"ApproverEveryone":  {reason: "no system group", changes: approver("Group", "system:authenticated"), want: "cannot approve"},
		"ApproverKind":      {reason: "enum", changes: approver("Everyone", "x"), want: "Unsupported value"},
		"MaskTwice":         {reason: "names are unique", changes: edits{"spec.masks.1.name": "contact"}, want: "Duplicate value"},
		"MaskNoFields":      {reason: "required", changes: edits{"spec.masks.0.fields": absent{}}, want: "fields or detect is required"},
		"MaskManyFields":    {reason: "bounded", changes: edits{"spec.masks.0.fields": names(129)}, want: "fields"},
		"MaskNoMethod":      {reason: "required", changes: edits{"spec.masks.0.method": absent{}}, want: "method"},
		"MaskMethod":        {reason: "enum", changes: edits{"spec.masks.0.method.type": "Scramble"}, want: "Unsupported value"},
		"MaskNull":          {reason: "null", changes: edits{"spec.masks.0.method.type": "Null"}},
		"MaskHash":          {reason: "a keyed method", changes: edits{"spec.masks.0.method.type": "Hash"}},
		"MaskDigits":        {reason: "a keyed method", changes: edits{"spec.masks.0.method.type": "Digits"}},
		"MaskDerived":       {reason: "enum", changes: edits{"spec.masks.0.derived": "Show"}, want: "Unsupported value"},
		"MaskPredicates":    {reason: "enum", changes: edits{"spec.masks.0.predicates": "Mask"}, want: "Unsupported value"},
		"MaskDeny":          {reason: "what unset means, in words", changes: edits{"spec.masks.0.derived": "Deny", "spec.masks.0.predicates": "Deny"}},
		"MaskBoth":          {reason: "checklist 40: one of them could be misspelt", changes: edits{"spec.masks.0.detect": []any{"Email"}}, want: "not both in one mask"},
		"DetectAll":         {reason: "every detector", changes: edits{"spec.masks.3.detect": list(policy.Detectors()...)}},
		"DetectUnknown":     {reason: "enum", changes: edits{"spec.masks.3.detect": list("EMail")}, want: "Unsupported value"},
		"DetectTwice":       {reason: "a set", changes: edits{"spec.masks.3.detect": list("Email", "Email")}, want: "Duplicate value"},
		"DetectNone":        {reason: "finds nothing", changes: edits{"spec.masks.3.detect": list()}, want: "detect"},
		"DetectDerived":     {reason: "no meaning", changes: edits{"spec.masks.3.derived": "Mask"}, want: "belong to masks of fields"},
		"DetectPredicates":  {reason: "no meaning", changes: edits{"spec.masks.3.predicates": "Deny"}, want: "belong to masks of fields"},
		"KeepLastMissing":   {reason: "union", changes: edits{"spec.masks.1.method.keepLast": absent{}}, want: "keepLast is required"},
		"KeepLastForbidden": {reason: "union", changes: edits{"spec.masks.1.method.type": "Redact"}, want: "forbidden otherwise"},
		"KeepLastZero":      {reason: "at least one", changes: edits{"spec.masks.1.method.keepLast.count": int64(0)}, want: "count"},
		"KeepLastMuch":      {reason: "at most 16", changes: edits{"spec.masks.1.method.keepLast.count": int64(17)}, want: "count"},
	})
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
