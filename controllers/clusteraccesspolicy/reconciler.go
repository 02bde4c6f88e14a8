// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusteraccesspolicy says whether a ClusterAccessPolicy is in force, and in how
// many snapshots. The Connections that it selects do the work.
package clusteraccesspolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/inforce"
	"github.com/doorward/doorward/controllers/kit"
)

// Reconciler reconciles ClusterAccessPolicies.
type Reconciler struct {
	// Client reads from caches.
	Client client.Client
	// Metadata reads PartialObjectMetadata from caches.
	Metadata client.Reader
	// Snapshots are the published ones.
	Snapshots inforce.Snapshots
	// Audits are what policies in mode Audit would have changed.
	Audits *inforce.Audits
	// Protocols are the known ones.
	Protocols compile.Protocols
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	policy   *v1alpha1.ClusterAccessPolicy
	world    compile.World        // gather
	result   compile.PolicyResult // compile
	compiled bool                 // compile
	behind   []string             // locate: Connections whose snapshot lacks this generation
	located  bool
}

// Reconcile judges the policy and looks which snapshots hold it.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.ClusterAccessPolicy{}
	if err := r.Client.Get(ctx, request.NamespacedName, policy); err != nil {
		if apierrors.IsNotFound(err) {
			r.Audits.Forget(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read ClusterAccessPolicy: %w", err)
	}
	patcher := kit.NewPatcher(r.Client, policy)
	s := &scope{policy: policy}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "gather what the policy refers to", Run: r.gather},
		kit.Step[scope]{Name: "compile", Run: r.compile},
		kit.Step[scope]{Name: "look into the snapshots", Run: r.locate},
	)
	writeStatus(s, err)
	var after time.Duration
	policy.Status.Audit, after = r.Audits.Status(policy, policy.Spec.Mode, policy.Status.Audit)
	if patchErr := patcher.PatchStatus(ctx, policy); patchErr != nil {
		if apierrors.IsConflict(patchErr) {
			return ctrl.Result{RequeueAfter: inforce.WaitForSnapshot}, nil
		}
		err = errors.Join(err, patchErr)
	}
	if err == nil && len(s.behind) > 0 {
		return ctrl.Result{RequeueAfter: inforce.WaitForSnapshot}, nil
	}
	return kit.Result(err, after)
}

// SetupWithManager watches policies and what they refer to. A Connection's status
// carries the revision of its snapshot, so that every change of it counts.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	onSpec := builder.WithPredicates(kit.SpecChanged())
	return ctrl.NewControllerManagedBy(mgr).
		Named("clusteraccesspolicy").
		// By then the snapshots mostly hold it: what is said of an edit is said once.
		Watches(&v1alpha1.ClusterAccessPolicy{}, inforce.Later(itself), onSpec).
		Watches(&v1alpha1.Connection{}, inforce.Later(r.all), builder.WithPredicates(inforce.ConnectionChanged())).
		Watches(&corev1.Namespace{}, inforce.Later(r.all), builder.OnlyMetadata, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1alpha1.IdentityProvider{}, inforce.Later(r.all), onSpec).
		WatchesRawSource(source.Channel(r.Audits.Changed(true), handler.EnqueueRequestsFromMapFunc(r.counted))).
		Complete(r)
}

func itself(_ context.Context, policy client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(policy)}}
}

// counted finds the policies that there are other counts of.
func (r *Reconciler) counted(context.Context, client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range r.Audits.Dirty(true) {
		requests = append(requests, reconcile.Request{NamespacedName: name})
	}
	return requests
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return kit.Requests(ctx, r.Client, &v1alpha1.ClusterAccessPolicyList{}, kit.All[*v1alpha1.ClusterAccessPolicy])
}
