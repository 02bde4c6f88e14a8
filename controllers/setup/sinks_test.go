// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// sinkCanary stands for what a sink's server asks for.
const sinkCanary = "canary-sink-5d1e"

func TestLogSink(t *testing.T) {
	sink := &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "out"}, Spec: v1alpha1.LogSinkSpec{Type: v1alpha1.LogSinkStdout}}
	create(t, sink)
	t.Cleanup(func() { remove(t, sink) })
	eventually(t, func(g gomega.Gomega) {
		live := get(g, "", "out", &v1alpha1.LogSink{})
		g.Expect(reason(live, v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
		g.Expect(reason(live, v1alpha1.ConditionReachable)).To(gomega.Equal("Unknown NoReport"))
		g.Expect(reason(live, v1alpha1.ConditionReady)).To(gomega.Equal("Unknown NoReport"))
	})
}

// TestSinkCredentials follows a sink's credentials from the operator's namespace to the
// proxies of a Connection, and what the proxies report back to the sink's status.
func TestSinkCredentials(t *testing.T) {
	const ns = "sinks"
	c := external(ns, "shop")
	c.Spec.Audit = &v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote}
	create(t, c)
	sink := &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "archive"}, Spec: v1alpha1.LogSinkSpec{
		Type: v1alpha1.LogSinkS3, Secret: &v1alpha1.SinkSecretReference{Name: "archive"},
		S3: &v1alpha1.S3Sink{Endpoint: "https://s3.shop.example", Bucket: "records"},
	}}
	create(t, sink)
	t.Cleanup(func() { remove(t, sink) })
	eventually(t, func(g gomega.Gomega) {
		live := get(g, "", "archive", &v1alpha1.LogSink{})
		g.Expect(reason(live, v1alpha1.ConditionAccepted)).To(gomega.Equal("False SecretNotFound"))
		g.Expect(message(live, v1alpha1.ConditionAccepted)).To(gomega.ContainSubstring(`"archive"`))
		live2 := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(live2, v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
		g.Expect(reason(live2, v1alpha1.ConditionRecordDurable)).To(gomega.Equal("False NoRemoteSink"))
		s, err := snapshot.Open(get(g, ns, "doorward-shop-snapshot", &corev1.Secret{}).Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(s.Audit.Durability).To(gomega.Equal("Remote"))
		g.Expect(s.Sinks).To(gomega.ContainElement(gomega.And(gomega.HaveField("Name", "archive"), gomega.HaveField("Secret", true))), "records wait for it")
	})

	source := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "archive"}, Type: v1alpha1.SecretTypeSinkCredential,
		StringData: map[string]string{"accessKeyID": "id", "secretAccessKey": sinkCanary, "password": "of something else", "unknown": "x"},
	}
	create(t, source)
	t.Cleanup(func() { remove(t, source) })
	eventually(t, func(g gomega.Gomega) {
		g.Expect(reason(get(g, "", "archive", &v1alpha1.LogSink{}), v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
		g.Expect(reason(get(g, ns, "shop", &v1alpha1.Connection{}), v1alpha1.ConditionRecordDurable)).To(gomega.Equal("True RemoteSink"))
		copied := get(g, ns, snapshot.SinkSecretName("shop"), &corev1.Secret{})
		g.Expect(copied.Type).To(gomega.BeEquivalentTo(v1alpha1.SecretTypeSinkCredential))
		g.Expect(copied.OwnerReferences).To(gomega.ConsistOf(gomega.And(gomega.HaveField("Kind", "Connection"), gomega.HaveField("Name", "shop"))))
		g.Expect(text(copied)).To(gomega.Equal(map[string]string{"archive_accessKeyID": "id", "archive_secretAccessKey": sinkCanary}),
			"only the keys that the type uses")
	})

	t.Run("Change", func(t *testing.T) {
		eventually(t, func(g gomega.Gomega) {
			live := get(g, operatorNamespace, "archive", &corev1.Secret{})
			live.Data["accessKeyID"] = []byte("rotated")
			g.Expect(admin.Update(t.Context(), live)).To(gomega.Succeed())
		})
		eventually(t, func(g gomega.Gomega) {
			copied := get(g, ns, snapshot.SinkSecretName("shop"), &corev1.Secret{})
			g.Expect(text(copied)).To(gomega.HaveKeyWithValue("archive_accessKeyID", "rotated"))
		})
	})
	t.Run("Tamper", func(t *testing.T) {
		eventually(t, func(g gomega.Gomega) {
			copied := get(g, ns, snapshot.SinkSecretName("shop"), &corev1.Secret{})
			copied.Data["archive_accessKeyID"], copied.Data["archive_sessionToken"] = []byte("mallory"), []byte("mallory")
			g.Expect(admin.Update(t.Context(), copied)).To(gomega.Succeed())
		})
		eventually(t, func(g gomega.Gomega) {
			copied := get(g, ns, snapshot.SinkSecretName("shop"), &corev1.Secret{})
			g.Expect(text(copied)).To(gomega.Equal(map[string]string{"archive_accessKeyID": "rotated", "archive_secretAccessKey": sinkCanary}))
		})
	})
	t.Run("Rights", func(t *testing.T) { sinkRights(t, ns) })
	t.Run("Status", func(t *testing.T) { sinkStatus(t, ns) })
	t.Run("Canary", func(t *testing.T) { noSinkCanary(t) })

	// A key that goes away is gone for the proxies too.
	eventually(t, func(g gomega.Gomega) {
		live := get(g, operatorNamespace, "archive", &corev1.Secret{})
		delete(live.Data, "secretAccessKey")
		g.Expect(admin.Update(t.Context(), live)).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		live := get(g, "", "archive", &v1alpha1.LogSink{})
		g.Expect(reason(live, v1alpha1.ConditionAccepted)).To(gomega.Equal("False IncompleteSecret"))
		g.Expect(message(live, v1alpha1.ConditionAccepted)).To(gomega.And(gomega.ContainSubstring(`"archive"`), gomega.ContainSubstring(`"secretAccessKey"`)))
		g.Expect(text(get(g, ns, snapshot.SinkSecretName("shop"), &corev1.Secret{}))).To(gomega.Equal(map[string]string{"archive_accessKeyID": "rotated"}))
	})
	remove(t, sink)
	eventually(t, func(g gomega.Gomega) {
		err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: snapshot.SinkSecretName("shop")}, &corev1.Secret{})
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue(), "%v", err)
	})
}

// sinkRights: a proxy gets the credentials of sinks, of its own Connection, and nothing of the
// operator's namespace. checklist 41.
func sinkRights(t *testing.T, ns string) {
	t.Helper()
	proxy := proxyOf(t, ns, "shop")
	eventually(t, func(g gomega.Gomega) {
		g.Expect(proxy.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: snapshot.SinkSecretName("shop")}, &corev1.Secret{})).To(gomega.Succeed())
		one := &corev1.SecretList{}
		g.Expect(proxy.List(t.Context(), one, client.InNamespace(ns), client.MatchingFields{"metadata.name": snapshot.SinkSecretName("shop")})).To(gomega.Succeed())
		g.Expect(one.Items).To(gomega.HaveLen(1))
	})
	for _, key := range []client.ObjectKey{
		{Namespace: operatorNamespace, Name: "archive"}, {Namespace: operatorNamespace, Name: "doorward-ca"}, {Namespace: ns, Name: snapshot.SinkSecretName("other")},
	} {
		if err := proxy.Get(t.Context(), key, &corev1.Secret{}); !apierrors.IsForbidden(err) {
			t.Errorf("a proxy reads Secret %s: %v", key, err)
		}
	}

	// The checkpoints are shown in a ConfigMap of the Connection's own; what the witness
	// holds of them cannot be written.
	configMap := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: ns, Name: "doorward-shop-checkpoints"}
	if err := admin.Get(t.Context(), key, configMap); err != nil {
		t.Fatal(err)
	}
	before := configMap.DeepCopy()
	configMap.Data = map[string]string{"shop-1": "{}"}
	if err := proxy.Patch(t.Context(), configMap, client.MergeFrom(before)); err != nil {
		t.Errorf("a proxy cannot show a checkpoint: %v", err)
	}
	if err := proxy.Delete(t.Context(), configMap); !apierrors.IsForbidden(err) {
		t.Errorf("a proxy deletes the ConfigMap: %v", err)
	}
	if err := proxy.List(t.Context(), &v1alpha1.AuditLogList{}, client.InNamespace(ns)); err != nil {
		t.Errorf("a proxy cannot read what the witness holds: %v", err)
	}
	log := &v1alpha1.AuditLog{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: strings.Repeat("0", 32)},
		Spec:       v1alpha1.AuditLogSpec{ConnectionRef: v1alpha1.ConnectionReference{Name: "shop"}, Instance: "shop-1"},
	}
	if err := proxy.Create(t.Context(), log, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("a proxy makes an AuditLog: %v", err)
	}
}

// sinkStatus: what a proxy reports of a sink is in the sink's status.
func sinkStatus(t *testing.T, ns string) {
	t.Helper()
	proxy := proxyOf(t, ns, "shop")
	reportSinks(t, proxy, ns, "shop", report.Sink{Name: "archive", Lag: 7, Error: "cannot reach s3.shop.example:\x1b[2J refused"})
	eventually(t, func(g gomega.Gomega) {
		live := get(g, "", "archive", &v1alpha1.LogSink{})
		g.Expect(reason(live, v1alpha1.ConditionReachable)).To(gomega.Equal("False Unreachable"))
		g.Expect(message(live, v1alpha1.ConditionReachable)).To(gomega.And(gomega.ContainSubstring("shop-1"), gomega.ContainSubstring("refused"), gomega.Not(gomega.ContainSubstring("\x1b"))))
		g.Expect(reason(live, v1alpha1.ConditionReady)).To(gomega.Equal("False Unreachable"))
		g.Expect(live.Status.Lag).To(gomega.HaveValue(gomega.BeEquivalentTo(7)))
		g.Expect(live.Status.ObservedProxies).To(gomega.HaveValue(gomega.BeEquivalentTo(1)))
		g.Expect(live.Status.Proxies).To(gomega.HaveLen(1))
	})
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	reportSinks(t, proxy, ns, "shop", report.Sink{Name: "archive", Reachable: true, AcknowledgedAt: at})
	eventually(t, func(g gomega.Gomega) {
		live := get(g, "", "archive", &v1alpha1.LogSink{})
		g.Expect(reason(live, v1alpha1.ConditionReachable)).To(gomega.Equal("True Delivering"))
		g.Expect(reason(live, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		g.Expect(live.Status.Lag).To(gomega.HaveValue(gomega.BeEquivalentTo(0)))
		g.Expect(live.Status.LastAcknowledged.Equal(&metav1.Time{Time: at})).To(gomega.BeTrue())
	})
	out, err := env.Kubectl(t.Context(), env.RESTConfig, "get", "logsinks", "archive")
	if err != nil || !strings.Contains(out, "LAST ACKNOWLEDGED") {
		t.Errorf("kubectl get logsinks: %v: %s", err, out)
	}
}

// noSinkCanary: no status, event or ConfigMap shows what a sink's server asks for. checklist 47.
func noSinkCanary(t *testing.T) {
	t.Helper()
	lists := []client.ObjectList{
		&v1alpha1.LogSinkList{}, &v1alpha1.ConnectionList{}, &v1alpha1.AuditLogList{}, &corev1.EventList{}, &corev1.ConfigMapList{}, &rbacv1.RoleList{},
	}
	for _, list := range lists {
		if err := admin.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		data, err := yaml.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), sinkCanary) {
			t.Errorf("%T shows a sink's credential", list)
		}
	}
}

// TestFileSinkAndManagedProxies: a sink of files is for proxies beside a disk.
func TestFileSinkAndManagedProxies(t *testing.T) {
	const ns = "sinks"
	c := managedConnection("pods")
	c.Namespace = ns
	c.Spec.Audit = &v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote}
	create(t, c)
	sink := &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "files"}, Spec: v1alpha1.LogSinkSpec{
		Type: v1alpha1.LogSinkFile, File: &v1alpha1.FileSink{Directory: "/var/log/doorward"},
	}}
	create(t, sink)
	t.Cleanup(func() { remove(t, sink) })
	later := &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "later"}, Spec: v1alpha1.LogSinkSpec{Type: v1alpha1.LogSinkStdout}}
	create(t, later) // a snapshot that has it was made of the other too
	t.Cleanup(func() { remove(t, later) })
	eventually(t, func(g gomega.Gomega) {
		live := get(g, "", "files", &v1alpha1.LogSink{})
		g.Expect(reason(live, v1alpha1.ConditionAccepted)).To(gomega.Equal("True ManagedProxiesLeftOut"))
		// Some are named: those of other tests may come first.
		g.Expect(message(live, v1alpha1.ConditionAccepted)).To(gomega.Or(gomega.ContainSubstring(ns+"/pods"), gomega.ContainSubstring("others")))
		s, err := snapshot.Open(get(g, ns, "doorward-pods-snapshot", &corev1.Secret{}).Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(s.Sinks).To(gomega.ContainElement(gomega.HaveField("Name", "later")))
		g.Expect(s.Sinks).NotTo(gomega.ContainElement(gomega.HaveField("Name", "files")), "records would wait for it for ever")
	})
}

func proxyOf(t *testing.T, ns, connection string) client.Client {
	t.Helper()
	config, err := env.ServiceAccountConfig(t.Context(), ns, "doorward-"+connection)
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, config)
}

// reportSinks reports how an instance gets along with sinks, with the proxy's own rights.
func reportSinks(t *testing.T, proxy client.Client, ns, connection string, sinks ...report.Sink) {
	t.Helper()
	instance := connection + "-1"
	encoded, err := report.Encode(report.Report{Instance: instance, ObservedAt: time.Now(), Nonce: "n", Sinks: sinks})
	if err != nil {
		t.Fatal(err)
	}
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: report.ConfigMapName(connection)}}
	patch := fmt.Appendf(nil, `{"data":{%q:%q}}`, instance, encoded)
	if err := proxy.Patch(t.Context(), configMap, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
}

func text(secret *corev1.Secret) map[string]string {
	all := map[string]string{}
	for key, value := range secret.Data {
		all[key] = string(value)
	}
	return all
}

func remove(t *testing.T, object client.Object) {
	t.Helper()
	if err := client.IgnoreNotFound(admin.Delete(context.WithoutCancel(t.Context()), object)); err != nil {
		t.Errorf("cannot remove %q: %v", object.GetName(), err)
	}
}
