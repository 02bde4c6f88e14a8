// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enforcement

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/controllers/kit"
)

// proveAgain is how soon a proof that failed is tried again: the API server
// enforces a policy a moment after it has been applied.
const proveAgain = 2 * time.Second

// SetupWithManager proves after each change of a policy or binding.
func (p *Prover) SetupWithManager(mgr ctrl.Manager) error {
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: "admission"}}}
	})
	changed := builder.WithPredicates(kit.SpecChanged())
	return ctrl.NewControllerManagedBy(mgr).Named("enforcement").
		Watches(&admissionregistrationv1.ValidatingAdmissionPolicy{}, one, builder.OnlyMetadata, changed).
		Watches(&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, one, builder.OnlyMetadata, changed).
		Watches(&admissionregistrationv1.MutatingAdmissionPolicy{}, one, builder.OnlyMetadata, changed).
		Watches(&admissionregistrationv1.MutatingAdmissionPolicyBinding{}, one, builder.OnlyMetadata, changed).
		Complete(reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
			if err := p.Check(ctx); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Cannot prove that admission is enforced; requests are void until it is")
				return reconcile.Result{RequeueAfter: proveAgain}, nil
			}
			return reconcile.Result{}, nil
		}))
}
