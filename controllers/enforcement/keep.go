// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enforcement

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/kit"
)

// ConfigMapName is the ConfigMap, in the operator's namespace, that keeps the
// interval over restarts of the manager.
const ConfigMapName = "doorward-enforcement"

const (
	keyFingerprint = "fingerprint"
	keyMAC         = "mac"
)

// keep makes the interval durable, and returns it with the time at which the API
// server first stored it. An interval kept by an earlier run goes on if it has
// the same fingerprint: no object was touched meanwhile.
func (p *Prover) keep(ctx context.Context, live string) (interval, error) {
	var kept corev1.ConfigMap
	key := client.ObjectKey{Namespace: p.Namespace, Name: ConfigMapName}
	err := p.Client.Get(ctx, key, &kept)
	if err != nil && !apierrors.IsNotFound(err) {
		return interval{}, fmt.Errorf("cannot read the proven interval: %w", err)
	}
	mac := p.mac(live)
	if !p.broken && kept.Data[keyFingerprint] == live && hmac.Equal([]byte(kept.Data[keyMAC]), []byte(mac)) {
		if since, ok := writtenAt(&kept); ok {
			return interval{Fingerprint: live, Since: since, UID: kept.UID}, nil
		}
	}
	if kept.UID != "" {
		// A fresh object has a fresh time, whatever was written into the old one.
		if err := p.Client.Delete(ctx, &kept, client.Preconditions{UID: &kept.UID}); err != nil && !apierrors.IsNotFound(err) {
			return interval{}, fmt.Errorf("cannot keep the proven interval: %w", err)
		}
	}
	fresh := corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: ConfigMapName},
		Data:       map[string]string{keyFingerprint: live, keyMAC: mac},
	}
	if err := p.Client.Create(ctx, &fresh, client.FieldOwner(kit.Manager)); err != nil {
		return interval{}, fmt.Errorf("cannot keep the proven interval: %w", err)
	}
	since, ok := writtenAt(&fresh)
	if !ok {
		return interval{}, errors.New("cannot keep the proven interval: the API server set no creation time")
	}
	return interval{Fingerprint: live, Since: since, UID: fresh.UID}, nil
}

// drop deletes the kept interval. Where that fails, this process still knows that
// it is broken.
func (p *Prover) drop(ctx context.Context) {
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: ConfigMapName}}
	if err := p.Client.Delete(ctx, kept); err != nil && !apierrors.IsNotFound(err) {
		logr.FromContextOrDiscard(ctx).Error(err, "Cannot drop the proven interval")
	}
}

// writtenAt is when the ConfigMap was created. It is never updated, only
// replaced, and the API server lets nobody set this time.
func writtenAt(c *corev1.ConfigMap) (time.Time, bool) {
	return c.CreationTimestamp.Time, !c.CreationTimestamp.IsZero()
}

// mac binds a kept fingerprint to the manager's key. Whoever may write the
// ConfigMap can put an older one back, but only the fingerprint of the objects
// that are live now counts, and those were proven then.
func (p *Prover) mac(live string) string {
	h := hmac.New(sha256.New, p.MACKey)
	h.Write([]byte("doorward.dev/enforcement/v1\n" + live))
	return hex.EncodeToString(h.Sum(nil))
}
