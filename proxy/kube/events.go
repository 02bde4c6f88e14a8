// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Bounds of Events: they are a convenience, the log is what counts.
const (
	eventEvery    = 2 * time.Second
	eventBurst    = 20
	eventQueue    = 64
	eventMaxAge   = 2 * time.Minute
	eventMaxChars = 1000
)

// Events tells the Connection's readers of denials and approvals. What is too
// much, too old or cannot be delivered is left out.
type Events struct {
	Client   *Client
	Instance string
	Log      logr.Logger

	queue chan *corev1.Event

	mu     sync.Mutex // guards limits
	limits map[string]*rate.Limiter
}

// NewEvents makes the sender; Run must run.
func NewEvents(client *Client, instance string, log logr.Logger) *Events {
	return &Events{
		Client: client, Instance: instance, Log: log,
		queue: make(chan *corev1.Event, eventQueue), limits: map[string]*rate.Limiter{},
	}
}

// Take makes an Event of a record that deserves one. It never waits.
func (e *Events) Take(d *record.Document) {
	kind, reason, message := describe(d)
	if reason == "" || d.Connection == nil || d.Connection.UID == "" || time.Since(d.Time) > eventMaxAge || !e.limit(d.Connection.UID).Allow() {
		return
	}
	at := metav1.NewTime(d.Time)
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Connection.Namespace, Name: fmt.Sprintf("%s.%x.%x", d.Connection.Name, d.Time.UnixNano(), d.Index),
		},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "Connection",
			Namespace: d.Connection.Namespace, Name: d.Connection.Name, UID: types.UID(d.Connection.UID),
		},
		Type: kind, Reason: reason, Message: firstRunes(message, eventMaxChars),
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
		Source:              corev1.EventSource{Component: "doorward-proxy", Host: e.Instance},
		ReportingController: "doorward.dev/proxy", ReportingInstance: firstRunes(e.Instance, 128),
	}
	select {
	case e.queue <- event:
	default:
	}
}

func (e *Events) limit(uid string) *rate.Limiter {
	e.mu.Lock()
	defer e.mu.Unlock()
	limiter := e.limits[uid]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Every(eventEvery), eventBurst)
		e.limits[uid] = limiter
	}
	return limiter
}

// Run sends until ctx ends.
func (e *Events) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-e.queue:
			bound, cancel := context.WithTimeout(ctx, requestTimeout)
			_, err := e.Client.events(event.Namespace).Create(bound, event, metav1.CreateOptions{})
			cancel()
			if err != nil {
				e.Log.V(1).Info("Cannot send an Event", "reason", err.Error())
			}
		}
	}
}

// describe says what a record is to the Connection's readers; no reason means
// nothing. Records are neutralised; the statement itself is left to the log.
func describe(d *record.Document) (kind, reason, message string) {
	who := "somebody"
	if d.Actor != nil {
		who = d.Actor.UserName
	}
	switch {
	case d.Type == record.SessionRefused:
		return corev1.EventTypeWarning, "SessionRefused", d.Reason
	case d.Type == record.AuthenticationFailed:
		return corev1.EventTypeWarning, "AuthenticationFailed", fmt.Sprintf("client %s: %s", d.ClientAddress, d.Reason)
	case d.Type == record.ForeignLogin:
		// The role of the stored credential is not for the Connection's readers.
		from := d.ClientAddress
		if from == "" {
			from = "an address that the target does not show"
		}
		return corev1.EventTypeWarning, "ForeignLogin", fmt.Sprintf("%s, from %s: the record has its role and name", d.Reason, from)
	case d.Type == record.SharedCredential && d.Session != "":
		return corev1.EventTypeWarning, "SharedCredential", fmt.Sprintf("session %q of %s: %s", d.Session, who, d.Reason)
	case d.Type == record.SharedCredential:
		return corev1.EventTypeWarning, "SharedCredential", fmt.Sprintf("%s, client %s: %s", who, d.ClientAddress, d.Reason)
	case d.Type == record.SnapshotRefused:
		return corev1.EventTypeWarning, "SnapshotRefused", d.Reason
	case d.Type == record.OperationHeld && d.Approval != nil:
		return corev1.EventTypeNormal, "ApprovalRequested",
			fmt.Sprintf("%s waits for approval of %s: ApprovalRequest %q, session %q", who, what(d), d.Approval.Request, d.Session)
	case d.Type == record.OperationDecided && d.Decision != nil && policy.Effect(d.Decision.Effect) == policy.Deny:
		return corev1.EventTypeWarning, "OperationDenied",
			fmt.Sprintf("%s was refused %s: %s; session %q", who, what(d), d.Decision.Message, d.Session)
	case d.Type == record.OperationDecided && d.Approval != nil && forwarded(d):
		return corev1.EventTypeNormal, "OperationApproved", fmt.Sprintf("%s may %s: ApprovalRequest %q, approved by %s, session %q",
			who, what(d), d.Approval.Request, strings.Join(d.Approval.Approvers, ", "), d.Session)
	}
	return "", "", ""
}

// what names an operation by its accesses.
func what(d *record.Document) string {
	if d.Operation == nil {
		return "an operation"
	}
	const most = 4
	var parts []string
	for i, access := range d.Operation.Accesses {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(d.Operation.Accesses)-most))
			break
		}
		parts = append(parts, strings.TrimSpace(access.Action+" "+access.Resource))
	}
	if len(parts) == 0 {
		return "an operation"
	}
	return strings.Join(parts, ", ")
}
