// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logsink says whether a LogSink can be used. Proxies do the sending.
package logsink

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
)

// Reconciler reconciles LogSinks.
type Reconciler struct {
	// Client reads from caches.
	Client client.Client
}

// Reconcile judges one sink.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	sink := &v1alpha1.LogSink{}
	if err := r.Client.Get(ctx, request.NamespacedName, sink); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read LogSink: %w", err)
	}
	patcher := kit.NewPatcher(r.Client, sink)
	_, verdicts := compile.Sinks([]v1alpha1.LogSink{*sink})
	writeStatus(sink, verdicts[sink.Name])
	return kit.Result(patcher.PatchStatus(ctx, sink), 0)
}

// writeStatus writes every condition.
func writeStatus(sink *v1alpha1.LogSink, accepted kit.Verdict) {
	sink.Status.ObservedGeneration = sink.Generation
	ready := kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, accepted)
	kit.Write(&sink.Status.Conditions, sink.Generation, accepted, ready)
}

// SetupWithManager watches sinks.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("logsink").
		For(&v1alpha1.LogSink{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).Complete(r)
}
