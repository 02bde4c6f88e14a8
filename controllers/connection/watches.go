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
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// workers is how many Connections are published at once, and how many are reconciled.
// Each mostly waits for the API server, and a policy that goes away has to reach all of
// its Connections.
const workers = 16

// SetupWithManager watches everything that a Connection depends on or owns. All
// that is not of our own kinds is watched as metadata only, Secrets above all.
// Each event on rotated reconciles every Connection; it may be nil.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, rotated <-chan event.GenericEvent) error {
	if err := r.setupPublishing(mgr); err != nil {
		return err
	}
	b := ctrl.NewControllerManagedBy(mgr).
		Named("connection").
		// What changes the spec comes by way of Publish, since its generation is in the
		// snapshot; labels are of interest to nothing but what is published.
		For(&v1alpha1.Connection{}, builder.WithPredicates(predicate.AnnotationChangedPredicate{})).
		WatchesRawSource(&r.rest).
		Watches(&v1alpha1.LogSink{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySecret), builder.OnlyMetadata, builder.WithPredicates(predicate.Funcs{UpdateFunc: noHeartbeat})).
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

var (
	onSpec = builder.WithPredicates(kit.SpecChanged())
	// Policies select Connections by their labels, too.
	specOrLabels = predicate.Or(kit.SpecChanged(), predicate.LabelChangedPredicate{})
)

// setupPublishing watches what snapshots are made of, and the snapshots.
func (r *Reconciler) setupPublishing(mgr ctrl.Manager) error {
	if err := indexRevoked(mgr); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("snapshot").
		// A policy that selects several Connections is judged by all of them.
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.sameNamespace), builder.WithPredicates(specOrLabels)).
		// Of an edit, both the policy before and the one after it are asked whom they select.
		Watches(&v1alpha1.AccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.selected), onSpec).
		Watches(&v1alpha1.ClusterAccessPolicy{}, handler.EnqueueRequestsFromMapFunc(r.clusterSelected), onSpec).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.inNamespace), builder.OnlyMetadata, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1alpha1.IdentityProvider{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&v1alpha1.GatewayCredential{}, handler.EnqueueRequestsFromMapFunc(r.all), onRevocation).
		Watches(&v1alpha1.LogSink{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.byReference), builder.OnlyMetadata).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySnapshot), builder.OnlyMetadata, builder.WithPredicates(predicate.Funcs{UpdateFunc: r.tampered})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.Func(r.Publish))
}

// noHeartbeat passes over the manager's own heartbeats.
func noHeartbeat(e event.UpdateEvent) bool { return !publish.BeatOnly(e.ObjectOld, e.ObjectNew) }

// tampered passes over these and the manager's own snapshots: each would have its
// Connection looked at again.
func (r *Reconciler) tampered(e event.UpdateEvent) bool {
	return noHeartbeat(e) && !r.Publisher.Wrote(e.ObjectNew)
}

func revision(c *v1alpha1.Connection) int64 {
	if c.Status.Snapshot == nil {
		return 0
	}
	return c.Status.Snapshot.Revision
}

func (r *Reconciler) sameNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, object.GetNamespace(), func(*v1alpha1.Connection) bool { return true })
}

// inNamespace finds the Connections of the namespace that the event is about.
func (r *Reconciler) inNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, object.GetName(), func(*v1alpha1.Connection) bool { return true })
}

// selected finds the Connections that an AccessPolicy is about: no other's snapshot has
// anything of it.
func (r *Reconciler) selected(ctx context.Context, object client.Object) []reconcile.Request {
	p, ok := object.(*v1alpha1.AccessPolicy)
	if !ok {
		return r.sameNamespace(ctx, object)
	}
	return r.requests(ctx, p.Namespace, func(c *v1alpha1.Connection) bool { return compile.Selects(p, c) })
}

// clusterSelected finds those that a ClusterAccessPolicy is about. Where the labels of
// a namespace are not known, all of its Connections may be.
func (r *Reconciler) clusterSelected(ctx context.Context, object client.Object) []reconcile.Request {
	p, ok := object.(*v1alpha1.ClusterAccessPolicy)
	if !ok {
		return r.all(ctx, object)
	}
	namespaces, unknown := map[string]map[string]string{}, map[string]bool{}
	return r.requests(ctx, "", func(c *v1alpha1.Connection) bool {
		if _, known := namespaces[c.Namespace]; !known {
			labels, err := r.namespaceLabels(ctx, c.Namespace)
			namespaces[c.Namespace], unknown[c.Namespace] = labels, err != nil
		}
		return unknown[c.Namespace] || compile.ClusterSelects(p, c, namespaces)
	})
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, "", kit.All)
}

// bySnapshot finds the Connection whose snapshot a Secret is, by name: the owner
// reference is something that whoever tampers can take away.
func (r *Reconciler) bySnapshot(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool { return object.GetName() == publish.SecretName(c.Name) })
}

// bySecret finds the Connections that another Secret belongs to, likewise.
func (r *Reconciler) bySecret(ctx context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	if object.GetNamespace() == r.Namespace && (name == ca.SecretName || name == ca.HostSecretName || r.sinkSecret(ctx, name)) {
		return r.all(ctx, object)
	}
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool {
		credential := c.Spec.Credential.Secret
		return name == ServingSecretName(c.Name) || name == snapshot.SinkSecretName(c.Name) || credential != nil && credential.Name == name
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

// byConfigMap finds the Connections that have something to be found in a ConfigMap.
func (r *Reconciler) byConfigMap(ctx context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool {
		return name == TrustBundleName || name == report.ConfigMapName(c.Name)
	})
}

// byReference finds those that are compiled of what is in a ConfigMap.
func (r *Reconciler) byReference(ctx context.Context, object client.Object) []reconcile.Request {
	name := object.GetName()
	if object.GetNamespace() == r.Namespace && name == compile.LoginKeysName {
		return r.all(ctx, object)
	}
	modules := r.modulesIn(ctx, object)
	return r.requests(ctx, object.GetNamespace(), func(c *v1alpha1.Connection) bool {
		if slices.ContainsFunc(modules, func(p *v1alpha1.AccessPolicy) bool { return compile.Selects(p, c) }) {
			return true
		}
		ref := authorityRef(c)
		return ref != nil && ref.Name == name
	})
}

// modulesIn finds the policies whose module is in a ConfigMap.
func (r *Reconciler) modulesIn(ctx context.Context, object client.Object) []*v1alpha1.AccessPolicy {
	var policies v1alpha1.AccessPolicyList
	if err := r.Client.List(ctx, &policies, client.InNamespace(object.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the AccessPolicies that an event concerns")
		return nil
	}
	var found []*v1alpha1.AccessPolicy
	for i := range policies.Items {
		if ref := compile.ModuleRef(&policies.Items[i]); ref != nil && ref.Name == object.GetName() {
			found = append(found, &policies.Items[i])
		}
	}
	return found
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
// is empty, in all. Events come also of namespaces that caches hold no Connection of, the
// operator's own among them: to list those would be an error.
func (r *Reconciler) requests(ctx context.Context, namespace string, wanted func(*v1alpha1.Connection) bool) []reconcile.Request {
	if namespace != "" && len(r.Namespaces) > 0 && !slices.Contains(r.Namespaces, namespace) {
		return nil
	}
	return kit.Requests(ctx, r.Client, &v1alpha1.ConnectionList{}, wanted, client.InNamespace(namespace))
}
