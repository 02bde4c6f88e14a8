// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestGatewayCredentials: snapshots carry the keys of gateway credentials while a provider
// has login, and what is revoked as soon as it is.
func TestGatewayCredentials(t *testing.T) {
	const ns = "logins"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	keys := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: compile.LoginKeysName}}
	keys.Data = map[string]string{compile.LoginKeysKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	create(t, keys)
	create(t, external(ns, "shop"))
	create(t, allow(ns, "analysts", "shop"))
	idp := provider("with-login", "https://login.example", "", "login:")
	idp.Spec.Login = &v1alpha1.LoginSettings{LifetimeSeconds: 3600}

	loginIs := func(want snapshot.Login) {
		t.Helper()
		eventually(t, func(g gomega.Gomega) {
			s, err := snapshot.Open(get(g, ns, "doorward-shop-snapshot", &corev1.Secret{}).Data, publicKey(g))
			g.Expect(err).NotTo(gomega.HaveOccurred())
			g.Expect(s.Login).To(gomega.Equal(want))
		})
	}
	awaitSnapshot(t, ns, "shop", 1, 1)
	loginIs(snapshot.Login{})
	create(t, idp)
	t.Cleanup(func() {
		_ = admin.Delete(context.Background(), idp)
		_ = admin.Delete(context.Background(), keys)
	})
	loginIs(snapshot.Login{Keys: [][]byte{der}})

	// By admission nobody else makes or deletes one.
	manager := asManager(t)
	issue := func(digit string) *v1alpha1.GatewayCredential {
		t.Helper()
		credential := &v1alpha1.GatewayCredential{
			ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat(digit, 32)},
			Spec: v1alpha1.GatewayCredentialSpec{
				Form: v1alpha1.GatewayCredentialToken, IdentityProvider: idp.Name, ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)),
				Owner: v1alpha1.CredentialOwner{Issuer: "https://login.example", Subject: "1", Username: "ann"},
			},
		}
		if err := manager.Create(t.Context(), credential); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = manager.Delete(context.Background(), credential)
		})
		return credential
	}
	one := issue("1")
	patch := []byte(`{"spec":{"revoke":{"reason":"laptop lost"}}}`)
	if err := admin.Patch(t.Context(), one, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
	lost := snapshot.Revoked{ID: one.Name, Reason: "laptop lost"}
	loginIs(snapshot.Login{Keys: [][]byte{der}, Revoked: []snapshot.Revoked{lost}})
	keys.Data[compile.LoginKeysKey] = "garbage"
	if err := admin.Update(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(g gomega.Gomega) {
		s, err := snapshot.Open(get(g, ns, "doorward-shop-snapshot", &corev1.Secret{}).Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(s.Login.Keys).To(gomega.BeEmpty())
		g.Expect(s.Login.Closed).To(gomega.ContainSubstring(compile.LoginKeysName))
		var events eventsv1.EventList
		g.Expect(admin.List(context.Background(), &events, client.InNamespace(ns))).To(gomega.Succeed())
		g.Expect(slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool { return e.Reason == "GatewayCredentialsRefused" })).To(gomega.BeTrue())
	})
	if err := admin.Delete(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	loginIs(snapshot.Login{})
}

// asManager is a client of what the manager's ServiceAccount may do.
func asManager(t *testing.T) client.Client {
	t.Helper()
	config := rest.CopyConfig(env.RESTConfig)
	config.Impersonate.UserName = "system:serviceaccount:" + operatorNamespace + ":doorward-manager"
	manager, err := client.New(config, client.Options{Scheme: admin.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return manager
}
