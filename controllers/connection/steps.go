// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

func authorityRef(c *v1alpha1.Connection) *v1alpha1.ConfigMapKeyReference {
	if c.Spec.TLS == nil || c.Spec.TLS.CertificateAuthority == nil {
		return nil
	}
	return c.Spec.TLS.CertificateAuthority.ConfigMap
}

func (r *Reconciler) compile(_ context.Context, s *scope) error {
	s.result = compile.Connection(s.connection, s.world)
	return nil
}

// publish publishes what was compiled. A Connection at fault, and a snapshot that
// does not fit, leave the previous one in place with less access.
func (r *Reconciler) publish(ctx context.Context, s *scope) error {
	if s.result.Snapshot != nil {
		err := r.publishOne(ctx, s, *s.result.Snapshot)
		if !errors.Is(err, snapshot.ErrTooLarge) {
			return err
		}
		s.narrowed = err
	}
	previous, err := r.Publisher.Live(ctx, s.connection)
	if err != nil {
		return err
	}
	if previous == nil {
		return nil // nothing is out there, so there is nothing to close
	}
	if s.narrowed != nil {
		err = r.publishOne(ctx, s, compile.Narrow(*previous, *s.result.Snapshot))
		if !errors.Is(err, snapshot.ErrTooLarge) {
			return err
		}
	}
	return r.publishOne(ctx, s, compile.Closed(*previous, "closed because the Connection is at fault; see its condition Accepted"))
}

func (r *Reconciler) publishOne(ctx context.Context, s *scope, content snapshot.Snapshot) error {
	outcome, err := r.Publisher.Publish(ctx, s.connection, content, func(ctx context.Context, o publish.Outcome) error {
		s.connection.Status.Snapshot = snapshotStatus(o)
		return s.patcher.PatchStatus(ctx, s.connection)
	})
	if err != nil {
		return err
	}
	s.outcome = outcome
	s.connection.Status.Snapshot = snapshotStatus(outcome)
	if outcome.Repaired != "" {
		r.warn(s, "SnapshotRepaired", "Publish", "Somebody had %s the snapshot Secret %q; it is published again as revision %d. See who may write Secrets in this namespace.",
			outcome.Repaired, publish.SecretName(s.connection.Name), outcome.Revision)
	}
	return nil
}

func snapshotStatus(o publish.Outcome) *v1alpha1.SnapshotStatus {
	return &v1alpha1.SnapshotStatus{Revision: o.Revision, PublishedAt: metav1.NewTime(o.PublishedAt), ReservedRevision: o.Reserved}
}

var (
	secretKind    = corev1.SchemeGroupVersion.WithKind("Secret")
	configMapKind = corev1.SchemeGroupVersion.WithKind("ConfigMap")
)

// version is that of an object as the metadata cache shows it; empty where it shows none.
func (r *Reconciler) version(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (string, error) {
	known, err := r.applier.Metadata(ctx, kind, namespace, name)
	return kit.Version(known), err
}

// certificate issues and renews the serving certificate, and the SSH host certificate
// beside it.
func (r *Reconciler) certificate(ctx context.Context, s *scope) error {
	names := serverNames(s.connection)
	if s.refused = ca.Refused(r.Authority.Constraints(), names); s.refused != nil {
		return nil //nolint:nilerr // other steps do not depend on it, and the status says so
	}
	var err error
	if s.refused, err = r.foreignName(ctx, s.connection, names, s.bundle); s.refused != nil || err != nil {
		return err
	}
	name := ServingSecretName(s.connection.Name)
	version, err := r.version(ctx, secretKind, s.connection.Namespace, name)
	if err != nil {
		return err
	}
	// One that was good stays so until it is renewed, for these names, under this bundle.
	goodFor := fmt.Sprintf("%q under %x, %t under %x at ", names, sha256.Sum256(s.bundle), r.usesHostKeys(s.connection), sha256.Sum256(s.hosts))
	if until, good := kit.Recall[time.Time](r.memory, key(s), "certificate", goodFor+version); good && version != "" && s.now.Before(until) {
		s.renewAt = until
		return nil
	}
	var live corev1.Secret
	err = r.Client.Get(ctx, types.NamespacedName{Namespace: s.connection.Namespace, Name: name}, &live)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	pair := ca.Pair{Certificate: live.Data[corev1.TLSCertKey], Key: live.Data[corev1.TLSPrivateKeyKey]}
	if ca.Renew(pair, names, s.bundle, s.now) {
		state, err := r.Authority.State(ctx)
		if err != nil {
			return err
		}
		authority, err := ca.Load(state.Current)
		if err != nil {
			return err
		}
		if pair, err = authority.Issue(names, s.now); err != nil {
			return err
		}
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key},
	}
	s.renewAt = ca.RenewAtPEM(pair.Certificate)
	if r.usesHostKeys(s.connection) {
		hosts, err := r.hostKeys(ctx, s, names, live.Data)
		if err != nil {
			return err
		}
		secret.Data[hostkey.PrivateKey], secret.Data[hostkey.Certificate] = hosts.Key, hosts.Certificate
		if at := ca.RenewHostAt(hosts); at.Before(s.renewAt) {
			s.renewAt = at
		}
	}
	kit.Owned(secret, s.connection, "Connection", v1alpha1.GroupVersion.String())
	if err := r.applier.Apply(ctx, secret); err != nil {
		return err
	}
	if secret.ResourceVersion != "" { // it was written just now
		version = string(secret.UID) + "/" + secret.ResourceVersion
	}
	r.memory.Keep(key(s), "certificate", goodFor+version, s.renewAt)
	return nil
}

// observe reads what proxies report and whether the credential Secret is there.
func (r *Reconciler) observe(ctx context.Context, s *scope) error {
	if ref := s.connection.Spec.Credential.Secret; ref != nil {
		metadata, err := r.applier.Metadata(ctx, secretKind, s.connection.Namespace, ref.Name)
		if err != nil {
			return err
		}
		s.secretFound = metadata != nil
	}
	name := types.NamespacedName{Namespace: s.connection.Namespace, Name: report.ConfigMapName(s.connection.Name)}
	version, err := r.version(ctx, configMapKind, name.Namespace, name.Name)
	if err != nil {
		return err
	}
	said, err := kit.Remembered(r.memory, key(s), "reports", version, func() (map[string]string, error) {
		var configMap corev1.ConfigMap
		err := r.Client.Get(ctx, name, &configMap)
		return configMap.Data, err
	})
	if err != nil {
		return err
	}
	live, stale := r.reports.observe(key(s), said, s.now)
	s.live = live
	r.delivered(s, live)
	if err := r.outrun(ctx, s); err != nil || len(stale) == 0 {
		return err
	}
	return r.prune(ctx, s, name, said, stale)
}

// prune removes entries of instances that are gone. One that was renewed since it was
// read stays.
func (r *Reconciler) prune(ctx context.Context, s *scope, name types.NamespacedName, said map[string]string, stale []string) error {
	var configMap corev1.ConfigMap
	if err := r.Client.Get(ctx, name, &configMap); err != nil {
		return err
	}
	before := configMap.DeepCopy()
	pruned := map[string]string{}
	for _, instance := range stale {
		if text, found := configMap.Data[instance]; !found || text != said[instance] {
			continue
		}
		pruned[instance] = said[instance]
		s.gone = append(s.gone, lastSaid(instance, pruned[instance], s.now)...)
		delete(configMap.Data, instance)
	}
	if len(pruned) == 0 {
		return nil
	}
	err := r.Client.Patch(ctx, &configMap, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case err == nil:
		r.warnOfLeftovers(s, pruned)
	case !apierrors.IsConflict(err):
		return fmt.Errorf("cannot prune reports: %w", err)
	}
	return nil
}

// outrun publishes anew where proxies have seen more than the API server knows of.
func (r *Reconciler) outrun(ctx context.Context, s *scope) error {
	var wants int64
	for _, o := range s.live {
		wants = max(wants, o.Wants)
	}
	before := s.outcome.Revision
	if !s.reached["publish"] || !r.Publisher.Outrun(s.connection, wants) {
		return nil
	}
	if err := r.publish(ctx, s); err != nil {
		r.Publisher.Suspend(key(s))
		return err
	}
	r.warn(s, "RevisionsRestored", "Publish", "A proxy takes no revision below %d, and %d was published: the API server's data was restored from an older copy. "+
		"Published again as revision %d. What was changed after that copy was made is gone: apply it again, revocations above all.",
		wants, before, s.outcome.Revision)
	return nil
}

// delivered passes on what live proxies report of the LogSinks, and of policies in mode
// Audit.
func (r *Reconciler) delivered(s *scope, live []observed) {
	reports := make([]report.Report, 0, len(live))
	for _, o := range live {
		reports = append(reports, o.Report)
	}
	if r.Deliveries != nil {
		r.Deliveries.Observe(key(s), reports)
	}
	if r.Audits != nil && s.result.Snapshot != nil {
		r.Audits.Observe(key(s), reports, s.result.Snapshot.Policies)
	}
}
