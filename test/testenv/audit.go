// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// AuditEvent is the part of an audit.k8s.io/v1 Event that tests ask about.
type AuditEvent struct {
	AuditID          string            `json:"auditID"`
	Stage            string            `json:"stage"`
	Verb             string            `json:"verb"`
	RequestURI       string            `json:"requestURI"`
	UserAgent        string            `json:"userAgent"`
	User             AuditUser         `json:"user"`
	ImpersonatedUser *AuditUser        `json:"impersonatedUser"`
	ObjectRef        *AuditObject      `json:"objectRef"`
	ResponseStatus   *AuditStatus      `json:"responseStatus"`
	StageTimestamp   time.Time         `json:"stageTimestamp"`
	Annotations      map[string]string `json:"annotations"`
	// RequestObject and ResponseObject are there at the levels Request and RequestResponse.
	RequestObject  json.RawMessage `json:"requestObject"`
	ResponseObject json.RawMessage `json:"responseObject"`
}

// AuditUser is who asked, as the API server authenticated them.
type AuditUser struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

// AuditObject is what was asked about.
type AuditObject struct {
	APIGroup    string `json:"apiGroup"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
}

// AuditStatus is the answer.
type AuditStatus struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// AuditEvents returns the events written so far, oldest first, that all filters accept. A
// watch appears with stage ResponseStarted as soon as it begins.
func (e *Env) AuditEvents(filters ...func(AuditEvent) bool) ([]AuditEvent, error) {
	content, err := os.ReadFile(e.AuditLogPath)
	if err != nil {
		return nil, fmt.Errorf("cannot read the audit log: %w", err)
	}
	var events []AuditEvent
line:
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		var event AuditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("cannot read an audit event: %w", err)
		}
		for _, accepts := range filters {
			if !accepts(event) {
				continue line
			}
		}
		events = append(events, event)
	}
	return events, nil
}

// ByUser accepts the events of one user.
func ByUser(name string) func(AuditEvent) bool {
	return func(event AuditEvent) bool { return event.User.Username == name }
}

// OnResource accepts the events about one resource, for instance "secrets".
func OnResource(resource string) func(AuditEvent) bool {
	return func(event AuditEvent) bool { return event.ObjectRef != nil && event.ObjectRef.Resource == resource }
}
