// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Memory keeps what was derived from objects that are in no cache, for as long as their
// metadata, which caches hold, shows them at the version they were read at. Whoever
// changes such an object makes another version of it, and it is read again. Nothing
// secret is to be kept.
type Memory struct {
	limit int

	mu  sync.Mutex // guards all
	all map[types.NamespacedName]map[string]derived
}

type derived struct {
	versions string
	value    any
}

// NewMemory makes a Memory of at most so many owners, beyond which it forgets all; of any
// number where limit is 0.
func NewMemory(limit int) *Memory {
	return &Memory{limit: limit, all: map[types.NamespacedName]map[string]derived{}}
}

// Forget drops what is kept for an owner.
func (m *Memory) Forget(owner types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, owner)
}

// Keep keeps what was derived, under a name, from objects at these versions. It takes the
// place of what was kept under the name.
func (m *Memory) Keep(owner types.NamespacedName, name, versions string, value any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit > 0 && len(m.all) >= m.limit && m.all[owner] == nil {
		clear(m.all)
	}
	if m.all[owner] == nil {
		m.all[owner] = map[string]derived{}
	}
	m.all[owner][name] = derived{versions: versions, value: value}
}

// Recall returns what is kept under a name at these versions. Without versions, which is
// what an object that is not there has, nothing is.
func Recall[T any](m *Memory, owner types.NamespacedName, name, versions string) (T, bool) {
	m.mu.Lock()
	kept, ok := m.all[owner][name]
	m.mu.Unlock()
	value, is := kept.value.(T)
	return value, ok && is && versions != "" && kept.versions == versions
}

// Remembered returns what is kept under a name at these versions, else what read derives,
// and keeps that.
func Remembered[T any](m *Memory, owner types.NamespacedName, name, versions string, read func() (T, error)) (T, error) {
	if value, ok := Recall[T](m, owner, name, versions); ok {
		return value, nil
	}
	value, err := read()
	if err == nil {
		m.Keep(owner, name, versions, value)
	}
	return value, err
}

// Metadata returns an object's metadata from a cache, or nil. It is shared, and only to
// be looked at.
func Metadata(ctx context.Context, cached client.Reader, kind schema.GroupVersionKind, namespace, name string) (*metav1.PartialObjectMetadata, error) {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(kind)
	err := cached.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, live, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read metadata of %s %q: %w", kind.Kind, name, err)
	}
	return live, nil
}

// Version tells an object at one version from all others; empty for nil.
func Version(object *metav1.PartialObjectMetadata) string {
	if object == nil {
		return ""
	}
	return string(object.UID) + "/" + object.ResourceVersion
}
