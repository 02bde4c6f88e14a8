// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Bounds of what others wrote, in bytes as they are shown. A receiver that refuses what
// is too long would otherwise let a requester keep approvers in the dark. Slack takes
// 3000 characters in a text of a block.
const (
	maxName      = 200
	maxReason    = 1000
	maxStatement = 2000
	maxAccess    = 200
	maxAccesses  = 8
	maxRules     = 16
)

// Message is what a template sees, and what is sent as JSON where there is none. What
// others wrote is harmless already. docs/operations/notifications.md has a line of each
// field.
type Message struct {
	ID              string   `json:"id"`
	Event           string   `json:"event"`
	Time            string   `json:"time"`
	Text            string   `json:"text"`
	Namespace       string   `json:"namespace"`
	Name            string   `json:"name"`
	Connection      string   `json:"connection"`
	Scope           string   `json:"scope"`
	Phase           string   `json:"phase"`
	Requester       string   `json:"requester"`
	Reason          string   `json:"reason"`
	Statement       string   `json:"statement"`
	Truncated       bool     `json:"truncated"`
	Accesses        []string `json:"accesses"`
	Rules           []string `json:"rules"`
	LookAlikes      []string `json:"lookAlikes"`
	Digest          string   `json:"digest"`
	Approvals       int      `json:"approvals"`
	Minimum         int      `json:"minimum"`
	BreakGlass      bool     `json:"breakGlass"`
	DurationSeconds int      `json:"durationSeconds"`
	NotBefore       string   `json:"notBefore"`
	ExpiresAt       string   `json:"expiresAt"`
	By              string   `json:"by"`
	Comment         string   `json:"comment"`
	Command         string   `json:"command"`
}

// notificationID is the same each time that an event of a request is told, to whomever.
func notificationID(r *v1alpha1.ApprovalRequest, event v1alpha1.NotifierEvent) string {
	return string(r.UID) + "." + string(event)
}

// newMessage says what an event is about.
func newMessage(r *v1alpha1.ApprovalRequest, event v1alpha1.NotifierEvent, at time.Time, markup v1alpha1.NotifierMarkup) *Message {
	truncated := false
	show := func(text string, limit int) string {
		shown, cut := harmless(text, markup, limit)
		truncated = truncated || cut
		return shown
	}
	m := &Message{
		ID: notificationID(r, event), Event: string(event), Time: stamp(at),
		Namespace: r.Namespace, Name: r.Name, Connection: r.Spec.ConnectionRef.Name,
		Scope: string(r.Spec.Scope), Phase: string(r.Status.Phase), Requester: show(r.Spec.Requester.Username, maxName),
		Digest: r.DecidedDigest(), Approvals: int(r.Status.Approvals), Minimum: int(r.Status.MinimumApprovals),
		BreakGlass: r.Status.BreakGlass != nil, ExpiresAt: stamp(r.Status.ExpiresAt.Time), Accesses: []string{}, Rules: []string{},
	}
	alike := func(text string) {
		names, cut := lookAlikes(r.Spec.Requester.Username, text)
		m.LookAlikes, truncated = names, truncated || cut
	}
	if r.Spec.Scope == v1alpha1.ApprovalScopeSession {
		s := r.Spec.Session
		m.Reason, m.DurationSeconds, m.NotBefore = show(s.Reason, maxReason), int(s.DurationSeconds), stamp(s.NotBefore.Time)
		for _, rule := range s.Rules[:min(len(s.Rules), maxRules)] {
			m.Rules = append(m.Rules, show(string(rule.Kind)+"/"+rule.Policy+"/"+rule.Rule, maxAccess))
			truncated = truncated || len(rule.Actions)+len(rule.Resources) > 0
		}
		truncated = truncated || len(s.Rules) > maxRules
		alike(s.Reason)
	} else {
		o := r.Spec.Operation
		m.Statement = show(o.Statement, maxStatement)
		truncated = truncated || o.Truncation != v1alpha1.TruncationNone || len(o.Accesses) > maxAccesses || len(r.Spec.Binding.Policies) > maxRules
		for _, access := range o.Accesses[:min(len(o.Accesses), maxAccesses)] {
			m.Accesses = append(m.Accesses, show(strings.TrimSpace(access.Action+" "+access.Resource), maxAccess))
		}
		for _, rule := range r.Spec.Binding.Policies[:min(len(r.Spec.Binding.Policies), maxRules)] {
			m.Rules = append(m.Rules, show(rule.Name+"/"+rule.Rule, maxAccess))
		}
		alike(o.Statement)
	}
	by, comment := decider(r, event)
	m.By, m.Comment = show(by, maxName), show(comment, maxReason)
	m.Truncated = truncated
	if event == v1alpha1.NotifyRequested {
		m.Command = fmt.Sprintf("kubectl doorward approve --namespace %s %s --digest %s", r.Namespace, r.Name, m.Digest)
	}
	m.Text = summary(m)
	return m
}

// decider is who brought an event about, and what they said.
func decider(r *v1alpha1.ApprovalRequest, event v1alpha1.NotifierEvent) (by, comment string) {
	wanted := v1alpha1.VerdictApprove
	switch event {
	case v1alpha1.NotifyRevoked:
		if r.Spec.Revoke != nil {
			return r.Spec.Revoke.Username, r.Spec.Revoke.Reason
		}
		return "", ""
	case v1alpha1.NotifyApproved:
	case v1alpha1.NotifyDenied:
		wanted = v1alpha1.VerdictDeny
	case v1alpha1.NotifyRequested, v1alpha1.NotifyExpired, v1alpha1.NotifyBreakGlass, v1alpha1.NotifyReviewDue:
		return "", ""
	}
	for _, status := range r.Status.Decisions {
		if int(status.Index) >= len(r.Spec.Decisions) || status.State != v1alpha1.DecisionCounted {
			continue
		}
		if d := r.Spec.Decisions[status.Index]; d.Verdict == wanted && d.Approver != nil {
			by, comment = d.Approver.Username, d.Comment
		}
	}
	return by, comment
}

// summary is one sentence. It is made of what is harmless already; what of it is ours has
// no character that any markup knows.
func summary(m *Message) string {
	what := cmp.Or(m.Reason, strings.Join(m.Accesses, ", "))
	whom := m.Requester + " for Connection " + m.Connection + " in " + m.Namespace
	switch v1alpha1.NotifierEvent(m.Event) {
	case v1alpha1.NotifyRequested:
		return "Approval asked for by " + whom + ": " + what
	case v1alpha1.NotifyApproved:
		return "Approved by " + m.By + ", asked for by " + whom + ": " + what
	case v1alpha1.NotifyBreakGlass:
		return "Goes ahead WITHOUT approvals: " + whom + ": " + what
	case v1alpha1.NotifyReviewDue:
		return "Has to be reviewed, went ahead WITHOUT approvals: " + whom + ": " + what
	case v1alpha1.NotifyDenied:
		return "Denied by " + m.By + ", asked for by " + whom + ": " + what
	case v1alpha1.NotifyRevoked:
		return "Revoked by " + m.By + ", asked for by " + whom + ": " + what
	case v1alpha1.NotifyExpired:
		return "Expired, asked for by " + whom + ": " + what
	}
	return m.Event + ", asked for by " + whom + ": " + what
}

// stamp is a time as RFC 3339 has it; empty for none.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
