// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accesspolicy says whether an AccessPolicy is in force, and in which
// snapshots. The Connections that it selects do the work.
package accesspolicy

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Snapshots returns the snapshot that is published for a Connection, or nil.
type Snapshots interface {
	Live(ctx context.Context, connection *v1alpha1.Connection) (*snapshot.Snapshot, error)
}

// Reconciler reconciles AccessPolicies.
type Reconciler struct {
	// Client reads from caches.
	Client client.Client
	// Snapshots are the published ones.
	Snapshots Snapshots
	// Protocols are the known ones.
	Protocols compile.Protocols

	held contents
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	policy   *v1alpha1.AccessPolicy
	world    compile.World        // gather
	result   compile.PolicyResult // compile
	compiled bool                 // compile
	selected []v1alpha1.SelectedConnection
	behind   []string // locate: Connections whose snapshot lacks this generation
	located  bool
}

// Reconcile judges the policy and looks which snapshots hold it.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.AccessPolicy{}
	if err := r.Client.Get(ctx, request.NamespacedName, policy); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read AccessPolicy: %w", err)
	}
	patcher := kit.NewPatcher(r.Client, policy)
	s := &scope{policy: policy}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "gather what the policy refers to", Run: r.gather},
		kit.Step[scope]{Name: "compile", Run: r.compile},
		kit.Step[scope]{Name: "look into the snapshots", Run: r.locate},
	)
	writeStatus(s, err)
	if patchErr := patcher.PatchStatus(ctx, policy); patchErr != nil {
		if apierrors.IsConflict(patchErr) {
			return ctrl.Result{RequeueAfter: waitForSnapshot}, nil
		}
		err = errors.Join(err, patchErr)
	}
	if err == nil && len(s.behind) > 0 {
		return ctrl.Result{RequeueAfter: waitForSnapshot}, nil
	}
	return kit.Result(err, 0)
}

// SetupWithManager watches policies and what they refer to. A Connection's status
// carries the revision of its snapshot, so that every change of it counts.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	onSpec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("accesspolicy").
		For(&v1alpha1.AccessPolicy{}, onSpec).
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.sameNamespace), builder.WithPredicates(revisionChanged())).
		Watches(&v1alpha1.IdentityProvider{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Complete(r)
}

func (r *Reconciler) sameNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(object.GetNamespace()))
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx)
}

func (r *Reconciler) requests(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var list v1alpha1.AccessPolicyList
	if err := r.Client.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the AccessPolicies that an event concerns")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: list.Items[i].Namespace, Name: list.Items[i].Name}})
	}
	return requests
}
