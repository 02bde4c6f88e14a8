// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package inforce

import (
	"context"
	"maps"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/api/v1alpha1"
)

// WaitForSnapshot is when to look again for a snapshot that is being made.
const WaitForSnapshot = time.Second

// pause is what a policy waits for further events about its Connections: an edit of it
// changes the snapshots of all of them.
const pause = 250 * time.Millisecond

// ConnectionChanged lets through what can change a policy's status.
func ConnectionChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Connection)
		after, okAfter := e.ObjectNew.(*v1alpha1.Connection)
		return !okBefore || !okAfter || before.Generation != after.Generation || revision(before) != revision(after) || !maps.Equal(before.Labels, after.Labels)
	}}
}

// Later enqueues the policies that events concern after a pause, so that many events are
// one look at each.
func Later(concerned handler.MapFunc) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, q queue, objects ...client.Object) {
		for _, object := range objects {
			for _, request := range concerned(ctx, object) {
				q.AddAfter(request, pause)
			}
		}
	}
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, q, e.Object) },
		UpdateFunc:  func(ctx context.Context, e event.UpdateEvent, q queue) { add(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, q, e.Object) },
		GenericFunc: func(ctx context.Context, e event.GenericEvent, q queue) { add(ctx, q, e.Object) },
	}
}
