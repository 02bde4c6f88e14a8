// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/witness"
)

// byConnection is the index of AuditLogs by the name of their Connection.
const byConnection = "spec.connectionRef.name"

// workers is how many Connections are looked after at once.
const workers = 4

// SetupWithManager watches submissions, as metadata only, and AuditLogs.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.AuditLog{}, byConnection, func(object client.Object) []string {
		log, ok := object.(*v1alpha1.AuditLog)
		if !ok {
			return nil
		}
		return []string{log.Spec.ConnectionRef.Name}
	})
	if err != nil {
		return fmt.Errorf("cannot index AuditLogs: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("auditlog").
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(ofConfigMap), builder.OnlyMetadata).
		Watches(&v1alpha1.AuditLog{}, handler.EnqueueRequestsFromMapFunc(ofLog)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// ofConfigMap finds the Connection by name: an owner reference is something that
// whoever tampers can take away.
func ofConfigMap(_ context.Context, object client.Object) []reconcile.Request {
	const mark = "\x00"
	prefix, suffix, _ := strings.Cut(witness.ConfigMapName(mark), mark)
	name, begins := strings.CutPrefix(object.GetName(), prefix)
	name, ends := strings.CutSuffix(name, suffix)
	if !begins || !ends || name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

func ofLog(_ context.Context, object client.Object) []reconcile.Request {
	log, ok := object.(*v1alpha1.AuditLog)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: log.Namespace, Name: log.Spec.ConnectionRef.Name}}}
}
