// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Bounds of what is remembered of ConfigMaps: their number, and the bytes of each.
// Larger ones are read each time.
const (
	maxConfigMaps     = 1024
	maxConfigMapBytes = 64 << 10
)

// ConfigMaps reads ConfigMaps that others write, of which caches hold metadata only, and
// again where they changed.
type ConfigMaps struct {
	client   client.Reader
	metadata client.Reader
	memory   *Memory
}

// NewConfigMaps makes one. c reads from the API server, metadata reads
// PartialObjectMetadata from a cache.
func NewConfigMaps(c, metadata client.Reader) *ConfigMaps {
	return &ConfigMaps{client: c, metadata: metadata, memory: NewMemory(maxConfigMaps)}
}

// Get returns the name and the data of a ConfigMap, or nil where there is none. It is
// shared, and only to be looked at.
func (m *ConfigMaps) Get(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	known, err := Metadata(ctx, m.metadata, corev1.SchemeGroupVersion.WithKind("ConfigMap"), namespace, name)
	if err != nil {
		return nil, err
	}
	version := Version(known)
	if kept, ok := Recall[*corev1.ConfigMap](m.memory, key, "", version); ok {
		return kept, nil
	}
	m.memory.Forget(key)
	var live corev1.ConfigMap
	if err := m.client.Get(ctx, key, &live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot read ConfigMap %q: %w", name, err)
	}
	found := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: live.Data}
	size := 0
	for key, value := range live.Data {
		size += len(key) + len(value)
	}
	if size <= maxConfigMapBytes {
		m.memory.Keep(key, "", version, found)
	}
	return found, nil
}
