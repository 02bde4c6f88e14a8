// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// youngFor is how old a pod may be whose owner the caches do not hold yet: they follow
// each kind for itself.
const youngFor = time.Minute

var replicaSetKind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// pods returns the target's, and finds those that are foreign.
func (r *Reconciler) pods(ctx context.Context, s *scope, target labels.Selector) ([]metav1.PartialObjectMetadata, error) {
	namespace := s.connection.Namespace
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := r.Metadata.List(ctx, pods, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("cannot list pods: %w", err)
	}
	owners := owners{r: r, namespace: namespace, workloads: map[types.UID]standing{}}
	var selected []metav1.PartialObjectMetadata
	proxies := map[types.UID]bool{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if target.Matches(labels.Set(pod.Labels)) {
			selected = append(selected, *pod)
			continue
		}
		found, err := owners.of(ctx, pod)
		if err != nil {
			return nil, err
		}
		switch {
		case found == proxy, found == ownerless && r.proxies.had(namespace, pod.UID):
			proxies[pod.UID] = true
		case found == ownerless && s.now.Sub(pod.CreationTimestamp.Time) < youngFor:
		default:
			s.surroundings.shared = append(s.surroundings.shared, pod.Name)
		}
	}
	r.proxies.remember(namespace, proxies)
	slices.Sort(s.surroundings.shared)
	s.surroundings.target = len(selected)
	return selected, nil
}

// standing is what the owners of a pod make of it.
type standing int

const (
	// foreign is a pod that no workload of the manager's made.
	foreign standing = iota
	// ownerless is one whose owner is not there any more, or not known yet. Kubernetes
	// deletes those whose owner is gone.
	ownerless
	// proxy is one of a workload that the manager made for a Connection that exists.
	proxy
)

// owners tell the manager's own pods from others by what made them: whoever may write a
// pod may write any label on it. An owner that does not know a pod as its own disowns
// it, or deletes it as one too many, which is for Kubernetes' controllers to do.
type owners struct {
	r         *Reconciler
	namespace string
	workloads map[types.UID]standing // of this look
}

func (o *owners) of(ctx context.Context, pod *metav1.PartialObjectMetadata) (standing, error) {
	owner := metav1.GetControllerOfNoCopy(pod)
	if is(owner, replicaSetKind) {
		set, err := o.read(ctx, replicaSetKind, owner)
		if err != nil || set == nil {
			return ownerless, err
		}
		if owner = metav1.GetControllerOfNoCopy(set); is(owner, deploymentKind) {
			return o.workload(ctx, deploymentKind, owner)
		}
		return foreign, nil
	}
	if is(owner, statefulSetKind) {
		return o.workload(ctx, statefulSetKind, owner)
	}
	return foreign, nil
}

// workload says what the pods of a Deployment or StatefulSet are.
func (o *owners) workload(ctx context.Context, kind schema.GroupVersionKind, reference *metav1.OwnerReference) (standing, error) {
	if known, ok := o.workloads[reference.UID]; ok {
		return known, nil
	}
	live, err := o.read(ctx, kind, reference)
	if err != nil {
		return foreign, err
	}
	found := ownerless
	if live != nil {
		connection, err := o.r.madeFor(ctx, live)
		switch {
		case err != nil:
			return foreign, err
		case connection != nil && managed(connection):
			found = proxy
		case !is(metav1.GetControllerOfNoCopy(live), connectionKind):
			found = foreign
		}
	}
	o.workloads[reference.UID] = found
	return found, nil
}

// read returns an owner's metadata, or nil where the very one is not there.
func (o *owners) read(ctx context.Context, kind schema.GroupVersionKind, reference *metav1.OwnerReference) (*metav1.PartialObjectMetadata, error) {
	live, err := o.r.applier.Metadata(ctx, kind, o.namespace, reference.Name)
	if err != nil || live == nil || live.UID != reference.UID {
		return nil, err
	}
	return live, nil
}

func is(reference *metav1.OwnerReference, kind schema.GroupVersionKind) bool {
	return reference != nil && reference.Kind == kind.Kind && reference.APIVersion == kind.GroupVersion().String()
}

var connectionKind = v1alpha1.GroupVersion.WithKind("Connection")

// madeFor is the Connection that the manager made an object of the Connection's
// ObjectName for, and keeps as it is to be; nil where there is none.
func (r *Reconciler) madeFor(ctx context.Context, object metav1.Object) (*v1alpha1.Connection, error) {
	owner := metav1.GetControllerOfNoCopy(object)
	if !is(owner, connectionKind) || object.GetName() != ObjectName(owner.Name) {
		return nil, nil
	}
	connection := &v1alpha1.Connection{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: object.GetNamespace(), Name: owner.Name}, connection)
	if apierrors.IsNotFound(err) || err == nil && connection.UID != owner.UID {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read Connection %q: %w", owner.Name, err)
	}
	return connection, nil
}

// proxyPods remembers which pods were proxies at the last look: those of a workload
// that is removed go on for a while, as their sessions do.
type proxyPods struct {
	mu  sync.Mutex // guards all
	all map[string]map[types.UID]bool
}

func newProxyPods() *proxyPods { return &proxyPods{all: map[string]map[types.UID]bool{}} }

func (p *proxyPods) had(namespace string, pod types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[namespace][pod]
}

func (p *proxyPods) remember(namespace string, pods map[types.UID]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(pods) == 0 {
		delete(p.all, namespace)
		return
	}
	p.all[namespace] = pods
}
