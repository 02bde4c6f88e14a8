// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ConflictPause is what a cache needs to see a write.
const ConflictPause = 50 * time.Millisecond

// Patcher writes the status of one object, as it differs from what was read.
type Patcher struct {
	client client.Client
	before client.Object
}

// NewPatcher remembers the object as read.
func NewPatcher(c client.Client, object client.Object) *Patcher {
	return &Patcher{client: c, before: copied(object)}
}

// copied is a deep copy. Every copy of an object is one.
func copied(object client.Object) client.Object {
	return object.DeepCopyObject().(client.Object) //nolint:errcheck // see above
}

// PatchStatus writes the object's status if it changed since it was read or
// last patched. The patch fails with a conflict if somebody else wrote the
// object meanwhile; the next run starts from what is there then. An object that
// is gone needs no status.
func (p *Patcher) PatchStatus(ctx context.Context, object client.Object) error {
	if equality.Semantic.DeepEqual(p.before, object) {
		return nil
	}
	patch := client.MergeFromWithOptions(p.before, client.MergeFromWithOptimisticLock{})
	written := copied(object)
	if err := p.client.Status().Patch(ctx, written, patch); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("cannot write status: %w", err)
	}
	object.SetResourceVersion(written.GetResourceVersion())
	p.before = copied(object)
	return nil
}
