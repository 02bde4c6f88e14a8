// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accesspolicy says whether an AccessPolicy is in force, and in which
// snapshots. The Connections that it selects do the work.
package accesspolicy

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
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/inforce"
	"github.com/doorward/doorward/controllers/kit"
)

// Reconciler reconciles AccessPolicies.
type Reconciler struct {
	// Client reads from caches.
	Client client.Client
	// Snapshots are the published ones.
	Snapshots inforce.Snapshots
	// Audits are what policies in mode Audit would have changed.
	Audits *inforce.Audits
	// ConfigMaps reads those that modules are in.
	ConfigMaps *kit.ConfigMaps
	// Protocols are the known ones.
	Protocols compile.Protocols
	// CheckModule says what is wrong with a module of Rego, and which claims it reads;
	// may be nil.
	CheckModule func(ctx context.Context, text string) (claims []string, err error)
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
			r.Audits.Forget(request.NamespacedName)
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
		Named("accesspolicy").
		// By then the snapshots mostly hold it: what is said of an edit is said once.
		Watches(&v1alpha1.AccessPolicy{}, inforce.Later(itself), onSpec).
		Watches(&v1alpha1.Connection{}, inforce.Later(r.about), builder.WithPredicates(inforce.ConnectionChanged())).
		Watches(&v1alpha1.IdentityProvider{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.byModule), builder.OnlyMetadata).
		WatchesRawSource(source.Channel(r.Audits.Changed(false), handler.EnqueueRequestsFromMapFunc(r.counted))).
		Complete(r)
}

// about finds the policies that select a Connection.
func (r *Reconciler) about(ctx context.Context, object client.Object) []reconcile.Request {
	c, ok := object.(*v1alpha1.Connection)
	return r.requests(ctx, func(p *v1alpha1.AccessPolicy) bool { return !ok || compile.Selects(p, c) }, client.InNamespace(object.GetNamespace()))
}

// byModule finds the policies whose module is in a ConfigMap.
func (r *Reconciler) byModule(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, func(p *v1alpha1.AccessPolicy) bool {
		ref := compile.ModuleRef(p)
		return ref != nil && ref.Name == object.GetName()
	}, client.InNamespace(object.GetNamespace()))
}

func itself(_ context.Context, policy client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(policy)}}
}

// counted finds the policies that there are other counts of.
func (r *Reconciler) counted(context.Context, client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range r.Audits.Dirty(false) {
		requests = append(requests, reconcile.Request{NamespacedName: name})
	}
	return requests
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, kit.All)
}

func (r *Reconciler) requests(ctx context.Context, wanted func(*v1alpha1.AccessPolicy) bool, options ...client.ListOption) []reconcile.Request {
	return kit.Requests(ctx, r.Client, &v1alpha1.AccessPolicyList{}, wanted, options...)
}
