// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Requests are those of the wanted objects of a list: what an event about something else maps
// to. The list is of the kind, and empty. Objects are shared with the cache, and only to be
// looked at: copying them for every event is what a manager of many would be busy with.
func Requests[T client.Object](ctx context.Context, cached client.Reader, list client.ObjectList, wanted func(T) bool, options ...client.ListOption) []reconcile.Request {
	if err := cached.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the objects that an event concerns", "list", fmt.Sprintf("%T", list))
		return nil
	}
	var requests []reconcile.Request
	_ = meta.EachListItem(list, func(item runtime.Object) error { // f returns no error, and a typed list has items
		if object, ok := item.(T); ok && wanted(object) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
		}
		return nil
	})
	return requests
}

// All wants every object.
func All[T client.Object](T) bool { return true }
