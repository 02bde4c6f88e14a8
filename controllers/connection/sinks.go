// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/sinksecret"
	"github.com/doorward/doorward/proxy/snapshot"
)

// sinks puts the credentials of the LogSinks that the proxies use beside the
// Connection, since a proxy reads nothing of the operator's namespace. It is the
// last step: what it cannot read must keep nothing else back, a revocation least
// of all.
func (r *Reconciler) sinks(ctx context.Context, s *scope) error {
	versions, err := r.sinkVersions(ctx, s)
	if err != nil {
		return err
	}
	if durable, same := kit.Recall[kit.Verdict](r.memory, key(s), "sinks", versions); same {
		s.durable = durable
		return nil
	}
	if err := r.copySinks(ctx, s); err != nil {
		return err
	}
	// What was written now is another version, which the next run looks at once.
	r.memory.Keep(key(s), "sinks", versions, s.durable)
	return nil
}

// sinkVersions is one word for all that copySinks reads and writes.
func (r *Reconciler) sinkVersions(ctx context.Context, s *scope) (string, error) {
	copied, err := r.version(ctx, secretKind, s.connection.Namespace, snapshot.SinkSecretName(s.connection.Name))
	if err != nil {
		return "", err
	}
	var words []string
	for i := range s.world.Sinks {
		sink, version := &s.world.Sinks[i], ""
		if ref := sink.Spec.Secret; ref != nil {
			if version, err = r.version(ctx, secretKind, r.Namespace, ref.Name); err != nil {
				return "", err
			}
		}
		words = append(words, fmt.Sprintf("%s/%d=%s", sink.UID, sink.Generation, version))
	}
	slices.Sort(words) // caches list in any order
	return fmt.Sprintf("%d %s %s", s.connection.Generation, copied, strings.Join(words, " ")), nil
}

func (r *Reconciler) copySinks(ctx context.Context, s *scope) error {
	secrets, err := sinksecret.Read(ctx, r.Client, r.Namespace, s.world.Sinks)
	if err != nil {
		return err
	}
	_, verdicts := compile.Sinks(s.world.Sinks, secrets.Known())
	s.durable = compile.Durable(s.connection, s.world.Sinks, verdicts)

	c := s.connection
	name := snapshot.SinkSecretName(c.Name)
	data := map[string][]byte{}
	for i := range s.world.Sinks {
		if sink := &s.world.Sinks[i]; compile.Uses(c, sink) {
			secrets.Copy(sink, data)
		}
	}
	if len(data) == 0 {
		return r.applier.Remove(ctx, secretKind, c, name)
	}
	if size := sizeOf(data); size > corev1.MaxSecretSize {
		return &kit.Stalled{Reason: v1alpha1.ReasonNotReady, Err: errors.New("the credentials of all LogSinks together do not fit a Secret: shorten them")}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: v1alpha1.SecretTypeSinkCredential, Data: data}
	kit.Owned(secret, c, "Connection", v1alpha1.GroupVersion.String())
	if err := r.applier.Apply(ctx, secret); err != nil {
		return err
	}
	return r.onlyOurs(ctx, types.NamespacedName{Namespace: c.Namespace, Name: name}, data)
}

// onlyOurs removes keys that somebody else added: proxies would use them.
func (r *Reconciler) onlyOurs(ctx context.Context, name types.NamespacedName, data map[string][]byte) error {
	var live corev1.Secret
	if err := r.Client.Get(ctx, name, &live); err != nil {
		return client.IgnoreNotFound(err)
	}
	before := live.DeepCopy()
	maps.DeleteFunc(live.Data, func(key string, _ []byte) bool { _, ours := data[key]; return !ours })
	if len(live.Data) == len(before.Data) {
		return nil
	}
	return r.Client.Patch(ctx, &live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func sizeOf(data map[string][]byte) int {
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}
	return size
}
