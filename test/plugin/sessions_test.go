// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// session NAME ACTOR [ended] [deaf]: the proxy shows a session, and ends it once it is told
// to; one that is deaf does not.
func session(ts *testscript.TestScript, neg bool, args []string) {
	ctx, s := begin(ts, neg, args, 2, "session NAME ACTOR [ended] [deaf]")
	options := strings.Join(args[2:], " ")
	object := &v1alpha1.AuditSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: args[0]},
		Spec: v1alpha1.AuditSessionSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: "orders-db"},
			Actor: v1alpha1.Actor{
				Issuer: "https://login.shop.example", Subject: "subject-of-" + strings.ToLower(args[1]), Username: args[1], Groups: []string{"analysts"},
				KubernetesUsername: "company:" + args[1], Kind: v1alpha1.ActorHuman, IdentityProvider: "company", AuthenticationMethod: "oidc",
			},
			ClientAddress: "198.51.100.7:50312", ProxyInstance: "laptop", StartedAt: metav1.NewTime(time.Now().Add(-10 * time.Minute)),
		},
	}
	ts.Check(s.proxy.Create(ctx, object))
	before, now := object.DeepCopy(), metav1.Now()
	object.Status = v1alpha1.AuditSessionStatus{
		Phase: v1alpha1.SessionActive, LastActivityAt: &now,
		Operations: &v1alpha1.OperationCounts{Total: 7, Allowed: 5, Denied: 2, Held: 1},
		Log:        &v1alpha1.LogPosition{ID: "orders-db-laptop", FirstRecord: 12, LastRecord: 40},
	}
	if strings.Contains(options, "ended") {
		object.Status.Phase, object.Status.EndedAt, object.Status.EndReason = v1alpha1.SessionEnded, &now, "the client left"
	}
	ts.Check(s.proxy.Status().Patch(ctx, object, client.MergeFrom(before)))
	if strings.Contains(options, "ended") || strings.Contains(options, "deaf") {
		return
	}
	serving, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	ts.Defer(func() { stop(); <-done })
	go func() {
		defer close(done)
		s.obey(serving, object)
	}()
}

// obey ends a session once it is told to, as its proxy does. What fails shows in the
// script, which waits for the end.
func (s *shop) obey(ctx context.Context, object *v1alpha1.AuditSession) {
	for ctx.Err() == nil {
		watcher, err := s.proxy.Watch(ctx, &v1alpha1.AuditSessionList{}, client.InNamespace(s.namespace))
		if err != nil {
			continue
		}
		for event := range watcher.ResultChan() {
			now, ok := event.Object.(*v1alpha1.AuditSession)
			if !ok || now.Name != object.Name || now.Spec.Terminate == nil {
				continue
			}
			before, at := now.DeepCopy(), metav1.Now()
			now.Status.Phase, now.Status.EndedAt, now.Status.EndReason = v1alpha1.SessionEnded, &at, "terminated: "+now.Spec.Terminate.Reason
			if s.proxy.Status().Patch(ctx, now, client.MergeFrom(before)) == nil {
				watcher.Stop()
				return
			}
		}
	}
}
