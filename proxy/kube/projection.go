// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// maxEndReason is the number of characters of a reason that an AuditSession holds.
const maxEndReason = 1024

// projection is what the log says of one session.
type projection struct {
	namespace, name string
	// start is the SessionStart record; nil where the object is older than this
	// process, and what was known of the session came from the object.
	start *record.Document
	// after is the index up to which the object had counted already.
	after  int64
	status v1alpha1.AuditSessionStatus
	// created says that the object exists, generation is the one last seen.
	created    bool
	generation int64
	// dirty says that the object does not show all of it yet, urgent that it
	// should soon.
	dirty, urgent bool
	// from is the index of the first record that the object does not show,
	// where it is dirty; counted is when its counts were last written.
	from    int64
	counted time.Time
	// gone says that there is no object and will be none.
	gone bool
}

// begin makes the projection of a session that starts.
func begin(d *record.Document) *projection {
	return &projection{
		namespace: d.Connection.Namespace, name: d.Session, start: d, after: -1, generation: 1,
		status: v1alpha1.AuditSessionStatus{
			Phase:      v1alpha1.SessionActive,
			Operations: &v1alpha1.OperationCounts{},
			Log:        &v1alpha1.LogPosition{ID: d.Log, FirstRecord: d.Index, LastRecord: d.Index},
		},
	}
}

// resume makes the projection of a session that an object shows already.
func resume(object *v1alpha1.AuditSession) *projection {
	p := &projection{
		namespace: object.Namespace, name: object.Name, created: true, after: -1,
		status: *object.Status.DeepCopy(), generation: object.Generation,
	}
	if p.status.Operations == nil {
		p.status.Operations = &v1alpha1.OperationCounts{}
	}
	if p.status.Log != nil {
		p.after = p.status.Log.LastRecord
	}
	return p
}

// apply takes one record of the session.
func (p *projection) apply(d *record.Document) {
	if p.gone {
		return
	}
	if p.status.Log != nil && p.status.Log.ID == d.Log && d.Index <= p.after {
		return
	}
	if p.status.Log == nil {
		p.status.Log = &v1alpha1.LogPosition{ID: d.Log, FirstRecord: d.Index}
	}
	p.status.Log.LastRecord = d.Index
	if !p.dirty {
		p.dirty, p.from = true, d.Index
	}
	if d.Revision > 0 {
		p.status.SnapshotRevision = d.Revision
	}
	counts := p.status.Operations
	switch d.Type {
	case record.SessionStart:
		p.urgent = true
	case record.SharedCredential:
		p.urgent = true
		p.share(d)
	case record.OperationHeld:
		counts.Held++
		p.active(d)
	case record.OperationDecided:
		counts.Total++
		if forwarded(d) {
			counts.Allowed++
		} else {
			counts.Denied++
		}
		p.active(d)
		p.breakGlass(d.Approval)
	case record.OperationResult:
		if d.Result != nil && len(d.Result.MaskedFields) > 0 {
			counts.Masked++
		}
		if d.Result != nil && d.Result.Outcome == "Failed" {
			counts.Failed++
		}
	case record.SessionEnd:
		p.urgent = true
		p.status.Phase = v1alpha1.SessionEnded
		at := metav1.NewTime(d.Time)
		p.status.EndedAt = &at
		p.status.EndReason = firstRunes(d.Reason, maxEndReason)
	default:
	}
}

// maxBreakGlass is how many requests of break-glass an AuditSession names.
const maxBreakGlass = 16

// breakGlass takes note of approvals that nobody gave.
func (p *projection) breakGlass(a *record.ApprovalDocument) {
	if a == nil {
		return
	}
	if a.BreakGlass && len(p.status.BreakGlass) < maxBreakGlass && !slices.Contains(p.status.BreakGlass, a.Request) {
		p.status.BreakGlass = append(p.status.BreakGlass, a.Request)
		p.urgent = true
	}
	for i := range a.Also {
		p.breakGlass(&a.Also[i])
	}
}

func (p *projection) active(d *record.Document) {
	at := metav1.NewTime(d.Time)
	p.status.LastActivityAt = &at
}

// due says whether the object should be written now: at once where the session
// began or ended, else once its counts are old.
func (p *projection) due(now time.Time) bool {
	return p.urgent || now.Sub(p.counted) >= countEvery
}

func (p *projection) ended() bool { return p.status.Phase == v1alpha1.SessionEnded }

func forwarded(d *record.Document) bool {
	if d.Decision == nil {
		return false
	}
	switch policy.Effect(d.Decision.Effect) {
	case policy.Allow:
		return true
	case policy.RequireApproval:
		return d.Approval != nil && d.Approval.Outcome == "Approved"
	default:
		return false
	}
}

// object is the AuditSession of a session that started.
func (p *projection) object(instance string) *v1alpha1.AuditSession {
	d := p.start
	spec := v1alpha1.AuditSessionSpec{
		ConnectionRef: v1alpha1.ConnectionReference{Name: d.Connection.Name},
		ClientAddress: d.ClientAddress, ProxyInstance: instance, StartedAt: metav1.NewTime(d.Time),
	}
	if a := d.Actor; a != nil {
		spec.Actor = v1alpha1.Actor{
			Issuer: a.Issuer, Subject: a.Subject, Username: a.UserName, KubernetesUsername: a.KubernetesUser,
			Groups: a.Groups, Kind: v1alpha1.ActorKind(a.Kind), IdentityProvider: a.Provider, AuthenticationMethod: a.Method, ProofID: a.ProofID,
		}
		for _, delegate := range a.Delegation {
			spec.Actor.Delegation = append(spec.Actor.Delegation, v1alpha1.DelegateActor{Issuer: delegate.Issuer, Subject: delegate.Subject})
		}
	}
	return &v1alpha1.AuditSession{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.name, Namespace: p.namespace, Labels: map[string]string{labelConnection: d.Connection.Name},
		},
		Spec: spec,
	}
}

// shown is the status to write, with its condition.
func (p *projection) shown() v1alpha1.AuditSessionStatus {
	status := *p.status.DeepCopy()
	status.ObservedGeneration = p.generation
	complete := metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSessionActive,
		Message: "The session goes on.", ObservedGeneration: p.generation,
	}
	if p.start != nil {
		complete.LastTransitionTime = metav1.NewTime(p.start.Time)
	}
	for _, former := range p.status.Conditions {
		if former.Type == complete.Type && former.Status == complete.Status {
			complete.LastTransitionTime = former.LastTransitionTime
		}
	}
	if p.ended() {
		complete.Status, complete.Reason = metav1.ConditionTrue, v1alpha1.ReasonSessionEnded
		complete.Message = strings.TrimSpace("The session ended: " + status.EndReason)
		complete.LastTransitionTime = *status.EndedAt
	}
	if complete.LastTransitionTime.IsZero() {
		complete.LastTransitionTime = metav1.Now()
	}
	status.Conditions = []metav1.Condition{complete}
	if shared := meta.FindStatusCondition(p.status.Conditions, v1alpha1.ConditionSharedCredential); shared != nil {
		status.Conditions = append(status.Conditions, *shared)
	}
	return status
}

// share shows that the caller's credential was found shared, and from where it is used. It
// stays.
func (p *projection) share(d *record.Document) {
	meta.SetStatusCondition(&p.status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionSharedCredential, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSeveralPlaces,
		Message: firstRunes("At "+d.Time.UTC().Format(time.RFC3339)+": "+d.Reason, maxEndReason), ObservedGeneration: p.generation,
		LastTransitionTime: metav1.NewTime(d.Time),
	})
}
