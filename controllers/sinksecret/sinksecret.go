// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sinksecret reads the Secrets that LogSinks name, in the operator's
// namespace. Nothing else of that namespace's Secrets is ever read for a sink.
package sinksecret

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Secrets are the Secrets of LogSinks. Nothing of them prints.
type Secrets struct {
	found map[string]corev1.Secret
}

// Format keeps the values out of whatever prints Secrets.
func (Secrets) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "[redacted]") }

// Read reads the Secrets that the sinks name. The client must read Secrets from
// the API server, not from a cache.
func Read(ctx context.Context, c client.Reader, namespace string, sinks []v1alpha1.LogSink) (Secrets, error) {
	secrets := Secrets{found: map[string]corev1.Secret{}}
	asked := map[string]bool{}
	for i := range sinks {
		if may, _ := compile.SinkKeys(&sinks[i]); len(may) == 0 {
			continue
		}
		name := sinks[i].Spec.Secret.Name
		if asked[name] || compile.OwnSecret(name) {
			continue
		}
		asked[name] = true
		var secret corev1.Secret
		err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return Secrets{}, fmt.Errorf("cannot read the Secret of LogSink %q: %w", sinks[i].Name, err)
		}
		secrets.found[name] = secret
	}
	return secrets, nil
}

// Known is what compiling needs to know of the Secrets: no values.
func (s Secrets) Known() map[string]compile.SinkSecret {
	known := make(map[string]compile.SinkSecret, len(s.found))
	for name, secret := range s.found {
		keys := slices.DeleteFunc(slices.Sorted(maps.Keys(secret.Data)), func(key string) bool { return len(secret.Data[key]) == 0 })
		known[name] = compile.SinkSecret{Type: secret.Type, Keys: keys}
	}
	return known
}

// Copy puts the keys that the sink uses into data, as its proxies look for them.
// Keys that it does not use are left out, and so is a Secret of a type that is
// not for sinks.
func (s Secrets) Copy(sink *v1alpha1.LogSink, data map[string][]byte) {
	may, _ := compile.SinkKeys(sink)
	if len(may) == 0 {
		return
	}
	secret, ok := s.found[sink.Spec.Secret.Name]
	if !ok || !compile.SinkSecretUsable(secret.Type) {
		return
	}
	for _, key := range may {
		if value := secret.Data[key]; len(value) > 0 {
			data[snapshot.SinkSecretKey(sink.Name, key)] = value
		}
	}
}
