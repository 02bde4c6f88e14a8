// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Manager is the field manager of everything the operator applies.
const Manager = "doorward-manager"

// Labels on every object the operator makes.
const (
	LabelManagedBy  = "app.kubernetes.io/managed-by"
	LabelName       = "app.kubernetes.io/name"
	LabelConnection = "doorward.dev/connection"
)

// Apply makes the object's fields so by server-side apply, taking over fields
// that somebody else changed: what the operator owns is drift repaired. Fields
// that the object leaves empty are not touched.
func Apply(ctx context.Context, c client.Client, object client.Object, options ...client.ApplyOption) error {
	_, err := apply(ctx, c, object, options...)
	return err
}

// ApplyAndSee does as Apply, and reads into live the object as it is then, with what
// others wrote of it.
func ApplyAndSee(ctx context.Context, c client.Client, object, live client.Object, options ...client.ApplyOption) error {
	answer, err := apply(ctx, c, object, options...)
	if err != nil {
		return err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(answer, live); err != nil {
		return fmt.Errorf("cannot read what became of %q: %w", object.GetName(), err)
	}
	return nil
}

func apply(ctx context.Context, c client.Client, object client.Object, options ...client.ApplyOption) (map[string]any, error) {
	kind, err := apiutil.GVKForObject(object, c.Scheme())
	if err != nil {
		return nil, fmt.Errorf("cannot apply: %w", err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("cannot apply %s %q: %w", kind.Kind, object.GetName(), err)
	}
	prune(content)
	delete(content, "status")
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	u.SetManagedFields(nil)
	options = append([]client.ApplyOption{client.FieldOwner(Manager), client.ForceOwnership}, options...)
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), options...); err != nil {
		return nil, fmt.Errorf("cannot apply %s %q: %w", kind.Kind, object.GetName(), err)
	}
	object.SetResourceVersion(u.GetResourceVersion())
	object.SetUID(u.GetUID())
	return u.Object, nil
}

// prune drops nulls and empty maps, which the Go types print for fields that
// nobody set; applying them would claim those fields. An empty selector or
// emptyDir is meant, so maps are dropped only where the Go type cannot leave
// them out.
func prune(object map[string]any) {
	for key, value := range object {
		switch v := value.(type) {
		case nil:
			delete(object, key)
		case map[string]any:
			prune(v)
			if len(v) == 0 && (key == "strategy" || key == "resources" || key == "updateStrategy") {
				delete(object, key)
			}
		case []any:
			for _, item := range v {
				if m, ok := item.(map[string]any); ok {
					prune(m)
				}
			}
		}
	}
}

// Owned sets the owner reference by which the object is garbage collected, and
// the labels every object of the operator has.
func Owned(object, owner client.Object, kind, apiVersion string) {
	yes := true
	object.SetNamespace(owner.GetNamespace())
	object.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: apiVersion, Kind: kind, Name: owner.GetName(), UID: owner.GetUID(),
		Controller: &yes, BlockOwnerDeletion: &yes,
	}})
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[LabelManagedBy] = "doorward"
	labels[LabelName] = "doorward"
	labels[LabelConnection] = owner.GetName()
	object.SetLabels(labels)
}
