// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// workers is how many Connections are reconciled at once. Each mostly waits for the API
// server, and a policy that goes away has to reach all of its Connections.
const workers = 16

// SetupWithManager watches everything that a Connection depends on or owns. All
// that is not of our own kinds is watched as metadata only, Secrets above all.
// Each event on rotated reconciles every Connection; it may be nil.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, rotated <-chan event.GenericEvent) error {
	onSpec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).
		Named("connection").
		For(&v1alpha1.Connection{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.AccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.sameNamespace), onSpec).
		// A policy that selects several Connections is judged by all of them.
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.sameNamespace), onSpec).
		Watches(&v1alpha1.IdentityProvider{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&v1alpha1.LogSink{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySecret), builder.OnlyMetadata, builder.WithPredicates(noHeartbeat)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.byConfigMap), builder.OnlyMetadata).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.isolatedOnes), builder.OnlyMetadata, builder.WithPredicates(predicate.LabelChangedPredicate{}))
	// Policies add up, so that each can open what ours closes; and Services say which
	// ports the target's pods have.
	for _, around := range []client.Object{&networkingv1.NetworkPolicy{}, &corev1.Service{}} {
		b = b.Watches(around, handler.EnqueueRequestsFromMapFunc(r.around), builder.OnlyMetadata)
	}
	// ReplicaSets say which pods are those of a Deployment. That alone is no reason to
	// look.
	b = b.Watches(&appsv1.ReplicaSet{}, handler.EnqueueRequestsFromMapFunc(r.around), builder.OnlyMetadata,
		builder.WithPredicates(predicate.NewPredicateFuncs(func(client.Object) bool { return false })))
	if rotated != nil {
		b = b.WatchesRawSource(source.Channel(rotated, handler.EnqueueRequestsFromMapFunc(r.all)))
	}
	if r.Tried != nil {
		b = b.WatchesRawSource(source.Channel(r.Tried, &handler.EnqueueRequestForObject{}))
	}
	for _, owned := range []client.Object{
		&corev1.ServiceAccount{}, &corev1.Service{}, &rbacv1.Role{}, &rbacv1.RoleBinding{},
		&appsv1.Deployment{}, &appsv1.StatefulSet{}, &policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{},
	} {
		b = b.Owns(owned, builder.OnlyMetadata)
	}
	return b.WithOptions(controller.Options{MaxConcurrentReconciles: workers}).Complete(r)
}

// noHeartbeat passes over the manager's own heartbeats: each would have its
// Connection reconciled.
var noHeartbeat = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return !publish.BeatOnly(e.ObjectOld, e.ObjectNew) }}

func (r *Reconciler) sameNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, object.GetNamespace(), func(*v1alpha1.Connection) bool { return true })
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, "", func(*v1alpha1.Connection) bool { return true })
}

// bySecret finds the Connections that a Secret belongs to, by name: the owner
// reference is something that whoever tampers can take away.
func (r *Reconciler) bySecret(ctx context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	if object.GetNamespace() == r.Namespace && (name == ca.SecretName || r.sinkSecret(ctx, name)) {
		return r.all(ctx, object)
	}
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool {
		credential := c.Spec.Credential.Secret
		return name == publish.SecretName(c.Name) || name == ServingSecretName(c.Name) || name == snapshot.SinkSecretName(c.Name) || credential != nil && credential.Name == name
	})
}

// sinkSecret says whether a LogSink names a Secret of the operator's namespace.
func (r *Reconciler) sinkSecret(ctx context.Context, name string) bool {
	var sinks v1alpha1.LogSinkList
	if err := r.Client.List(ctx, &sinks, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the LogSinks that an event concerns")
		return true // what could not be found out is looked at
	}
	return slices.ContainsFunc(sinks.Items, func(s v1alpha1.LogSink) bool { return s.Spec.Secret != nil && s.Spec.Secret.Name == name })
}

func (r *Reconciler) byConfigMap(ctx context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool {
		ref := authorityRef(c)
		return name == TrustBundleName || name == report.ConfigMapName(c.Name) || ref != nil && ref.Name == name
	})
}

func (r *Reconciler) isolatedOnes(ctx context.Context, object client.Object) []reconcile.Request {
	if strings.HasPrefix(object.GetName(), "doorward-") && metav1.GetControllerOfNoCopy(object) != nil {
		return nil // a proxy that comes or goes, by all looks; what it is is found out at the next look
	}
	return r.around(ctx, object)
}

func (r *Reconciler) around(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool { return c.Spec.Isolation != nil })
}

// requests names the Connections that are wanted, in one namespace or, where that
// is empty, in all. Of the operator's own namespace the cache may hold none and would
// say so with an error, so that it is looked for among all. Objects are only looked at:
// copying them for every event is what a manager of many Connections would be busy with.
func (r *Reconciler) requests(ctx context.Context, namespace string, wanted func(*v1alpha1.Connection) bool) []reconcile.Request {
	options := []client.ListOption{client.UnsafeDisableDeepCopy}
	if namespace != "" && namespace != r.Namespace {
		options = append(options, client.InNamespace(namespace))
	}
	var connections v1alpha1.ConnectionList
	if err := r.Client.List(ctx, &connections, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the Connections that an event concerns")
		return nil
	}
	var requests []reconcile.Request
	for i := range connections.Items {
		if c := &connections.Items[i]; (namespace == "" || c.Namespace == namespace) && wanted(c) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: c.Namespace, Name: c.Name}})
		}
	}
	return requests
}
