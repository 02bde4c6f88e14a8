// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog_test

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/auditlog"
	"github.com/doorward/doorward/proxy/witness"
)

// TestKeyRotation: the next key of the witness is certified by the one before,
// and a lost one leaves the former verifiers published.
func TestKeyRotation(t *testing.T) {
	ctx := t.Context()
	keys := auditlog.NewKeys(admin, rotationNamespace(t))
	now := keys.SetClock()
	read := func() (witness.Chain, note.Verifiers) {
		t.Helper()
		if _, _, err := keys.Signer(ctx); err != nil {
			t.Fatal(err)
		}
		object := &corev1.ConfigMap{}
		if err := admin.Get(ctx, types.NamespacedName{Namespace: "rotation", Name: witness.KeysConfigMapName}, object); err != nil {
			t.Fatal(err)
		}
		chain, err := witness.DecodeChain([]byte(object.Data[witness.KeysChain]))
		if err != nil {
			t.Fatal(err)
		}
		all, err := chain.Verifiers(object.Data[witness.KeysVerifier])
		if err != nil {
			t.Fatal(err)
		}
		return chain, all
	}
	first, _, err := keys.Signer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now(364 * 24)
	if chain, _ := read(); len(chain) != 1 {
		t.Errorf("%d keys within a year", len(chain))
	}
	now(366 * 24)
	second, _, err := keys.Signer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	chain, all := read()
	if len(chain) != 2 || first.Name() == second.Name() {
		t.Fatalf("%d keys after a year", len(chain))
	}
	if _, err := all.Verifier(first.Name(), first.KeyHash()); err != nil {
		t.Errorf("who trusts the second key does not trust the first: %v", err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "rotation", Name: auditlog.KeySecretName}}
	// On purpose, before the year is over, and once.
	if err := admin.Patch(ctx, secret, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"doorward.dev/rotate":"now"}}}`))); err != nil {
		t.Fatal(err)
	}
	now(366*24 + 1)
	third, _, err := keys.Signer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now(366*24 + 2)
	if chain, all = read(); len(chain) != 3 || third.Name() == second.Name() {
		t.Fatalf("%d keys after one was asked for", len(chain))
	}
	if _, err := all.Verifier(first.Name(), first.KeyHash()); err != nil {
		t.Errorf("who trusts the third key does not trust the first: %v", err)
	}
	if err := admin.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil || len(secret.Annotations) != 0 {
		t.Errorf("what asked for the key stays: %v, %v", secret.Annotations, err)
	}
	if err := admin.Delete(ctx, secret); err != nil {
		t.Fatal(err)
	}
	now(367 * 24)
	chain, all = read()
	if len(chain) != 4 {
		t.Fatalf("%d keys after the loss of the third", len(chain))
	}
	if _, err := all.Verifier(third.Name(), third.KeyHash()); err == nil {
		t.Error("a key that nobody certified is trusted with the others")
	}
	if err := admin.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["ed25519.seed"] = []byte("short")
	if err := admin.Update(ctx, secret); err != nil {
		t.Fatal(err)
	}
	now(368 * 24)
	if _, _, err := keys.Signer(ctx); err == nil || !strings.Contains(err.Error(), auditlog.KeySecretName) {
		t.Errorf("a damaged key is replaced, or the error does not name it: %v", err)
	}
}

// TestKeyLost: a log of before the loss of the witness's key is certified anew, so
// that who trusts the key in force finds out whose log it is. It is not parallel,
// so that no other test is without a manager.
func TestKeyLost(t *testing.T) {
	f := auditlog.NewFake(t, "lost-0").Grow(10, "record")
	submit(t, proxy, connectionName, f.Show(0))
	before := holds(t, f, 10, v1alpha1.AuditLogOpen)
	_, former := published(t)
	manager.stop()
	lost := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: auditlog.KeySecretName}}
	if err := admin.Delete(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	var err error
	if manager, err = startManager(); err != nil {
		t.Fatal(err)
	}
	submit(t, proxy, connectionName, f.Grow(10, "record").Show(10))
	log := holds(t, f, 20, v1alpha1.AuditLogOpen)
	countersigned(t, f, log)
	_, verifiers := published(t)
	c, err := witness.OpenCertificate(log.Status.Certificate, verifiers)
	if err != nil || c.Log != log.Name || c.Connection != connectionName || c.Instance != log.Spec.Instance {
		t.Errorf("certificate is %+v: %v", c, err)
	}
	if _, err := witness.OpenCertificate(log.Status.Certificate, former); err == nil {
		t.Error("the key that was lost is said to have certified the log anew")
	}
	if !log.Status.FirstSeen.Equal(before.Status.FirstSeen) {
		t.Errorf("first seen at %s, was %s", log.Status.FirstSeen, before.Status.FirstSeen)
	}
}

func rotationNamespace(t *testing.T) string {
	t.Helper()
	if err := admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "rotation"}}); err != nil {
		t.Fatal(err)
	}
	return "rotation"
}
