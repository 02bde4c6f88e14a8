// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Applier applies objects and spares the request where nothing can have changed:
// what is wanted is what was applied last, and the object, as the metadata cache
// knows it, is at the version that came of it.
type Applier struct {
	client   client.Client
	metadata client.Reader

	mu      sync.Mutex // guards applied
	applied map[string]appliedAt
}

type appliedAt struct {
	wanted  [sha256.Size]byte
	version string
}

// NewApplier makes an Applier. metadata reads PartialObjectMetadata from a cache.
func NewApplier(c client.Client, metadata client.Reader) *Applier {
	return &Applier{client: c, metadata: metadata, applied: map[string]appliedAt{}}
}

// Apply makes the object so. One that has an owner is not made of what was there
// without it: somebody else's object is not taken over for its name.
func (a *Applier) Apply(ctx context.Context, object client.Object) error {
	kind, err := apiutil.GVKForObject(object, a.client.Scheme())
	if err != nil {
		return fmt.Errorf("cannot apply: %w", err)
	}
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("cannot apply %s %q: %w", kind.Kind, object.GetName(), err)
	}
	key := kind.String() + " " + object.GetNamespace() + "/" + object.GetName()
	wanted := sha256.Sum256(data)
	a.mu.Lock()
	last, known := a.applied[key]
	a.mu.Unlock()
	live, err := a.Metadata(ctx, kind, object.GetNamespace(), object.GetName())
	if err != nil {
		return err
	}
	if live != nil && known && last.wanted == wanted && live.ResourceVersion == last.version {
		return nil
	}
	if live != nil && metav1.GetControllerOf(object) != nil && !sameOwner(live, object) {
		return fmt.Errorf("cannot apply: %s %q is there already and is somebody else's: delete it, or choose another name for Connection %q",
			kind.Kind, object.GetName(), object.GetLabels()[LabelConnection])
	}
	if err := Apply(ctx, a.client, object); err != nil {
		return err
	}
	a.mu.Lock()
	a.applied[key] = appliedAt{wanted: wanted, version: object.GetResourceVersion()}
	a.mu.Unlock()
	return nil
}

// sameOwner says whether an object was made for the owner of another, or for a former
// one of its name, which left it behind.
func sameOwner(live, wanted metav1.Object) bool {
	is, want := metav1.GetControllerOf(live), metav1.GetControllerOf(wanted)
	if is != nil && is.UID == want.UID {
		return true
	}
	labels := live.GetLabels()
	return labels[LabelManagedBy] == "doorward" && labels[LabelConnection] == wanted.GetLabels()[LabelConnection] &&
		(is == nil || is.Kind == want.Kind && is.Name == want.Name)
}

// Remove deletes an object if it is there and the owner controls it.
func (a *Applier) Remove(ctx context.Context, kind schema.GroupVersionKind, owner client.Object, name string) error {
	live, err := a.Metadata(ctx, kind, owner.GetNamespace(), name)
	if err != nil || live == nil || !metav1.IsControlledBy(live, owner) {
		return err
	}
	err = a.client.Delete(ctx, live, client.Preconditions{UID: &live.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete %s %q: %w", kind.Kind, name, err)
	}
	return nil
}

// Metadata returns an object's metadata from the cache, or nil.
func (a *Applier) Metadata(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (*metav1.PartialObjectMetadata, error) {
	return Metadata(ctx, a.metadata, kind, namespace, name)
}
