// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"strings"
	"unicode/utf8"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
)

// maxLets is the number of characters that approvers read of what one rule lets through.
const maxLets = 2048

// askedRules say what a request asks for, rule by rule, for approvers to read.
func askedRules(r *v1alpha1.ApprovalRequest, rules []v1alpha1.Rule) []v1alpha1.AskedRule {
	asked := make([]v1alpha1.AskedRule, len(rules))
	for i := range rules {
		wanted := &r.Spec.Session.Rules[i]
		lets, truncation := bounded(lets(&rules[i], wanted), maxLets)
		asked[i] = v1alpha1.AskedRule{Kind: wanted.Kind, Policy: wanted.Policy, Rule: wanted.Rule, Lets: lets, Truncation: truncation}
	}
	return asked
}

// lets says in words what an approval of a rule lets through: what the rule matches, and
// what of that the requester asks for.
func lets(rule *v1alpha1.Rule, wanted *v1alpha1.RequestedRule) string {
	var b strings.Builder
	b.WriteString(strings.Join(rule.Actions, ", "))
	if len(rule.Resources) > 0 {
		b.WriteString(" on " + strings.Join(rule.Resources, ", "))
	} else {
		b.WriteString(" on everything")
	}
	if len(rule.Properties) > 0 {
		b.WriteString(", where " + strings.Join(rule.Properties, " and "))
	}
	if len(wanted.Actions) > 0 {
		b.WriteString("; of these only the actions " + strings.Join(wanted.Actions, ", "))
	}
	if len(wanted.Resources) > 0 {
		b.WriteString("; only on " + strings.Join(wanted.Resources, ", "))
	}
	return b.String()
}

// maxClaimed is the number of characters of what a requester says of themselves.
const maxClaimed = 4096

// claimed is what the requester says of issuer and subject.
func claimed(r *v1alpha1.ApprovalRequest) string {
	var parts []string
	if s := r.Spec.Requester.Subject; s != "" {
		parts = append(parts, "subject "+s)
	}
	if s := r.Spec.Requester.Issuer; s != "" {
		parts = append(parts, "issuer "+s)
	}
	if len(parts) == 0 {
		return ""
	}
	text, _ := bounded("not proven: "+strings.Join(parts, ", "), maxClaimed)
	return text
}

// visibleBytes is the size of a text that records show whole.
const visibleBytes = 4000

// bounded neutralises a text and cuts it to a number of characters.
func bounded(text string, limit int) (string, v1alpha1.Truncation) {
	truncation := v1alpha1.TruncationNone
	if len(text) > visibleBytes {
		end := visibleBytes
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text, truncation = text[:end], v1alpha1.TruncationTruncated
	}
	shown := []rune(record.Visible(text))
	if len(shown) > limit {
		shown, truncation = shown[:limit], v1alpha1.TruncationTruncated
	}
	return string(shown), truncation
}
