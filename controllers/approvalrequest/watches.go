// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// workers is how many requests are judged at once; of those beyond quotas half as many.
const workers = 6

// SetupWithManager watches requests and what they are bound to. Each event on
// proven, which says that the interval in which requests are believed began or
// ended, looks at every request again; it may be nil.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, proven <-chan event.GenericEvent) error {
	onSpec := builder.WithPredicates(kit.SpecChanged())
	b := ctrl.NewControllerManagedBy(mgr).
		Named("approvalrequest").
		For(&v1alpha1.ApprovalRequest{}, onSpec).
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.sameNamespace), onSpec).
		Watches(&v1alpha1.AccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.sameNamespace), onSpec).
		Watches(&v1alpha1.ClusterAccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.boundTo), onSpec).
		Watches(&v1alpha1.AuditSession{}, handler.EnqueueRequestsFromMapFunc(r.heldBy))
	if proven != nil {
		b = b.WatchesRawSource(source.Channel(proven, handler.EnqueueRequestsFromMapFunc(r.all)))
	}
	return b.WithOptions(controller.Options{MaxConcurrentReconciles: workers}).Complete(r)
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, kit.All)
}

func (r *Reconciler) sameNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, kit.All, client.InNamespace(object.GetNamespace()))
}

// boundTo finds the requests that are bound to a policy.
func (r *Reconciler) boundTo(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, func(request *v1alpha1.ApprovalRequest) bool {
		binding := &request.Spec.Binding
		if s := request.Status.Session; s != nil {
			binding = &s.Binding
		}
		return slices.ContainsFunc(binding.Policies, func(b v1alpha1.BoundRule) bool { return b.UID == string(object.GetUID()) })
	})
}

func (r *Reconciler) heldBy(ctx context.Context, object client.Object) []reconcile.Request {
	session, ok := object.(*v1alpha1.AuditSession)
	if !ok || session.Status.Phase == v1alpha1.SessionActive || session.Status.Phase == "" {
		return nil
	}
	return r.requests(ctx, func(request *v1alpha1.ApprovalRequest) bool { return request.Spec.Holder.Session == object.GetName() }, client.InNamespace(object.GetNamespace()))
}

// requests returns those that are not over, or wait for a review, and wanted.
func (r *Reconciler) requests(ctx context.Context, wanted func(*v1alpha1.ApprovalRequest) bool, options ...client.ListOption) []reconcile.Request {
	return kit.Requests(ctx, r.Client, &v1alpha1.ApprovalRequestList{}, func(request *v1alpha1.ApprovalRequest) bool {
		return (!over(request.Status.Phase) || request.AwaitsReview()) && wanted(request)
	}, options...)
}
