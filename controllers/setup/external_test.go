// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// publicKey is the key that proxies verify snapshots with.
func publicKey(g gomega.Gomega) ed25519.PublicKey {
	configMap := get(g, operatorNamespace, enrol.KeyConfigMapName, &corev1.ConfigMap{})
	raw, err := base64.StdEncoding.DecodeString(configMap.Data[enrol.KeyConfigMapKey])
	g.Expect(err).NotTo(gomega.HaveOccurred())
	return raw
}

// TestExternal follows a Connection from its creation to a proxy that serves.
func TestExternal(t *testing.T) {
	const ns = "external"
	create(t, external(ns, "shop"))
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
		g.Expect(reason(c, v1alpha1.ConditionSnapshotPublished)).To(gomega.Equal("True Published"))
		g.Expect(reason(c, v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("True CertificateIssued"))
		g.Expect(reason(c, v1alpha1.ConditionCredentialAvailable)).To(gomega.Equal("False SecretNotFound"))
		g.Expect(reason(c, v1alpha1.ConditionProxyAvailable)).To(gomega.Equal("False NoProxy"))
		g.Expect(reason(c, v1alpha1.ConditionReady)).To(gomega.HavePrefix("False "))
		g.Expect(c.Status.Endpoint).To(gomega.Equal("localhost:15432"))

		secret := get(g, ns, "doorward-shop-snapshot", &corev1.Secret{})
		s, err := snapshot.Open(secret.Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(s.Revision).To(gomega.Equal(c.Status.Snapshot.Revision))
		g.Expect(s.Connection.UID).To(gomega.Equal(string(c.UID)))
		beat, err := snapshot.OpenHeartbeat(secret.Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(beat.Revision).To(gomega.Equal(s.Revision))

		serving := get(g, ns, "doorward-shop-serving", &corev1.Secret{})
		bundle := get(g, ns, "doorward-trust-bundle", &corev1.ConfigMap{})
		block, _ := pem.Decode(serving.Data["tls.crt"])
		leaf, err := x509.ParseCertificate(block.Bytes)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(bundle.Data["ca.crt"]))
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"})
		g.Expect(err).NotTo(gomega.HaveOccurred())
	})

	create(t, credential(ns, "shop"))
	dir := filepath.Join(t.TempDir(), "proxy")
	arguments, err := enrol.Enrol(t.Context(), env.RESTConfig, admin, enrol.Request{
		Namespace: ns, Connection: "shop", OperatorNamespace: operatorNamespace, Directory: dir, Instance: "shop-1", Listen: "127.0.0.1", Recordings: enrol.Nowhere,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(arguments, " "); !strings.Contains(got, "--listen=external/shop=127.0.0.1:15432") || !strings.Contains(got, "--instance=shop-1") {
		t.Errorf("arguments: %s", got)
	}
	info, err := os.Stat(filepath.Join(dir, "kubeconfig"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("kubeconfig: %v, mode %v, want 0600", err, info.Mode())
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := clientOf(t, config)
	reportAs(t, proxy, ns, "shop", report.Problem{Type: v1alpha1.ConditionCredentialAvailable, Reason: v1alpha1.ReasonCredentialRejected, Message: "no key \"password\": add it"})
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionCredentialAvailable)).To(gomega.Equal("False CredentialRejected"))
		g.Expect(message(c, v1alpha1.ConditionCredentialAvailable)).To(gomega.ContainSubstring("password"))
		g.Expect(reason(c, v1alpha1.ConditionProxyAvailable)).To(gomega.Equal("False ProxyDegraded"))
	})
	reportAs(t, proxy, ns, "shop")
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"), "%+v", c.Status.Conditions)
		g.Expect(c.Status.Proxies).To(gomega.HaveLen(1))
	})
}

// reportAs reports the published revision, with the proxy's own rights.
func reportAs(t *testing.T, proxy client.Client, ns, connection string, problems ...report.Problem) {
	t.Helper()
	c := &v1alpha1.Connection{}
	if err := proxy.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: connection}, c); err != nil {
		t.Fatal(err)
	}
	text, err := report.Encode(report.Report{
		Instance: connection + "-1", Revision: c.Status.Snapshot.Revision, ObservedAt: time.Now(), Nonce: "n", Problems: problems,
	})
	if err != nil {
		t.Fatal(err)
	}
	configMap := &corev1.ConfigMap{}
	if err := proxy.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "doorward-" + connection + "-proxies"}, configMap); err != nil {
		t.Fatal(err)
	}
	before := configMap.DeepCopy()
	configMap.Data = map[string]string{connection + "-1": text}
	if err := proxy.Patch(t.Context(), configMap, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedServerName shows that the authority signs no foreign name, and says so.
func TestRefusedServerName(t *testing.T) {
	c := external("external", "foreign")
	c.Spec.Proxy.External.ServerNames = []string{"bank.example"}
	create(t, c)
	eventually(t, func(g gomega.Gomega) {
		c := get(g, "external", "foreign", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("False CertificateFailed"))
		g.Expect(message(c, v1alpha1.ConditionServingCertificateReady)).To(gomega.ContainSubstring("--ca-permitted-domains"))
	})
}
