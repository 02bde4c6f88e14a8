// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
)

// Terminator ends a live session.
type Terminator interface {
	Terminate(session, reason string) bool
}

// live are the names of the sessions of a namespace that have not ended.
func (s *Sessions) live(namespace string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, p := range s.sessions {
		if p.namespace == namespace && !p.ended() {
			names = append(names, name)
		}
	}
	return names
}

// Terminations ends the sessions of one Connection whose spec.terminate is set,
// until ctx ends.
func (s *Sessions) Terminations(ctx context.Context, namespace, connection string, gate Terminator) {
	client := s.Client.auditSessions(namespace)
	seen := func(object *v1alpha1.AuditSession, gone bool) {
		if gone || object.Spec.ProxyInstance != s.Instance || object.Spec.Terminate == nil {
			return
		}
		if gate.Terminate(object.Name, record.Visible(object.Spec.Terminate.Reason)) {
			s.Log.Info("Terminated a session", "session", object.Name, "namespace", object.Namespace)
		}
	}
	f := &follower[*v1alpha1.AuditSession]{
		selector: metav1.ListOptions{LabelSelector: labelConnection + "=" + connection},
		list:     chosen(client.List, client.Get, func() []string { return s.live(namespace) }, func(string) {}),
		watch:    client.Watch,
		synced: func(all []*v1alpha1.AuditSession) {
			for _, object := range all {
				seen(object, false)
			}
		},
		event: seen,
	}
	f.run(ctx)
}
