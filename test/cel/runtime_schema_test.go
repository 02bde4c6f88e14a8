// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"testing"
)

// What is made while people work, by themselves and by proxies.

func TestApprovalRequestSchema(t *testing.T) {
	tryCreate(t, "approvalrequest.yaml", map[string]schemaCase{
		"Sample":        {reason: "the sample is valid"},
		"Scope":         {reason: "enum", changes: edits{"spec.scope": "Both"}, want: "Unsupported value"},
		"NoRequester":   {reason: "required", changes: edits{"spec.requester": absent{}}, want: "spec.requester"},
		"NotMapped":     {reason: "a requester has a Kubernetes user name", changes: edits{"spec.requester.username": absent{}}, want: "username"},
		"ManyGroups":    {reason: "bounded", changes: edits{"spec.requester.groups": names(257)}, want: "groups"},
		"DigestShort":   {reason: "a SHA-256", changes: edits{"spec.operation.digest": "sha256:00"}, want: "digest"},
		"DigestUpper":   {reason: "one spelling", changes: edits{"spec.operation.digest": "sha256:" + upper(64)}, want: "digest"},
		"StatementLong": {reason: "checklist 37, 38: bounded", changes: edits{"spec.operation.statement": longText(8193)}, want: "statement"},
		"Truncation":    {reason: "checklist 37: said in words", changes: edits{"spec.operation.truncation": absent{}}, want: "truncation"},
		"NoAccesses":    {reason: "at least one", changes: edits{"spec.operation.accesses": []any{}}, want: "accesses"},
		"Nonce":         {reason: "a SHA-256", changes: edits{"spec.holder.nonce": "x"}, want: "nonce"},
		"NoBinding":     {reason: "required", changes: edits{"spec.binding": absent{}}, want: "are required when scope is Operation"},
		"NoPolicies":    {reason: "at least one", changes: edits{"spec.binding.policies": []any{}}, want: "policies"},
		"NoApprovers":   {reason: "at least one", changes: edits{"spec.approvers": []any{}}, want: "spec.approvers"},
		"SystemGroup":   {reason: "no system group", changes: edits{"spec.approvers": []any{map[string]any{"kind": "Group", "name": "system:masters"}}}, want: "cannot approve"},
		"Minimum":       {reason: "at least one", changes: edits{"spec.minimumApprovals": int64(0)}, want: "minimumApprovals"},
		"NoExpiry":      {reason: "required", changes: edits{"spec.expiresAt": absent{}}, want: "expiresAt"},
		"Connection":    {reason: "a name in this namespace", changes: edits{"spec.connectionRef.name": "other/db"}, want: "DNS label"},
	})
}

func TestAuditSessionSchema(t *testing.T) {
	tryCreate(t, "auditsession.yaml", map[string]schemaCase{
		"Sample":         {reason: "the sample is valid"},
		"NoActor":        {reason: "required", changes: edits{"spec.actor": absent{}}, want: "spec.actor"},
		"Kind":           {reason: "enum", changes: edits{"spec.actor.kind": "Bot"}, want: "Unsupported value"},
		"NoProvider":     {reason: "required", changes: edits{"spec.actor.identityProvider": absent{}}, want: "identityProvider"},
		"LongDelegation": {reason: "bounded", changes: edits{"spec.actor.delegation": repeat(17, "subject", nil)}, want: "delegation"},
		"Delegation":     {reason: "a chain", changes: edits{"spec.actor.delegation": []any{map[string]any{"subject": "agent-1"}}}},
		"NoClient":       {reason: "required", changes: edits{"spec.clientAddress": absent{}}, want: "clientAddress"},
		"NoStart":        {reason: "required", changes: edits{"spec.startedAt": absent{}}, want: "startedAt"},
	})
}
