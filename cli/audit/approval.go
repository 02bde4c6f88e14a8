// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// breakGlass is what is shown in place of an outcome: on record, an operation whose caller
// went ahead alone is approved, as the policy lets it be, but by nobody.
const breakGlass = "BreakGlass"

// Approvals says what an operation rests on: who approved it, and where nobody did. Empty
// where no approval was decided on.
func Approvals(a *record.ApprovalDocument) string {
	var all []string
	for _, one := range approvalsOf(a) {
		if one.Outcome == "" {
			continue
		}
		text := one.Outcome
		if one.BreakGlass {
			text = "approved by nobody: the caller went ahead by break-glass"
		} else if len(one.Approvers) > 0 {
			text += " by " + strings.Join(one.Approvers, ", ")
		}
		if one.Request != "" {
			text += " (request " + one.Request + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// wentAhead says whether an operation rests on an approval that nobody gave.
func wentAhead(a *record.ApprovalDocument) bool {
	return slices.ContainsFunc(approvalsOf(a), func(one *record.ApprovalDocument) bool { return one.BreakGlass })
}

// approvalsOf are an approval and those beside it; none for nil.
func approvalsOf(a *record.ApprovalDocument) []*record.ApprovalDocument {
	if a == nil {
		return nil
	}
	all := []*record.ApprovalDocument{a}
	for i := range a.Also {
		all = append(all, &a.Also[i])
	}
	return all
}
