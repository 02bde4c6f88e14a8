// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/test/sshhost"
)

// shells is a protocol whose callers know proxies by SSH host keys.
type shells struct{ words }

func (shells) Name() string { return "shells" }

func (shells) UsesHostKeys() bool { return true }

const hostsNamespace = "hosts"

func shell(name string) *v1alpha1.Connection {
	c := external(hostsNamespace, name)
	c.Spec.Protocol = "shells"
	return c
}

// hostKeysOf are the keys that a Connection's proxies would show now.
func hostKeysOf(name string) ([]ssh.Signer, error) {
	var secret corev1.Secret
	if err := admin.Get(context.Background(), client.ObjectKey{Namespace: hostsNamespace, Name: "doorward-" + name + "-serving"}, &secret); err != nil {
		return nil, err
	}
	return hostkey.Parse(secret.Data[hostkey.PrivateKey], secret.Data[hostkey.Certificate])
}

// shownBy waits for the host keys of a Connection, of which the certificate is as wanted.
func shownBy(t *testing.T, name string, wanted func(g gomega.Gomega, certificate *ssh.Certificate)) (certificate *ssh.Certificate) {
	t.Helper()
	eventually(t, func(g gomega.Gomega) {
		keys, err := hostKeysOf(name)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		certificate, _ = keys[0].PublicKey().(*ssh.Certificate)
		wanted(g, certificate)
	})
	return certificate
}

func knownHosts(t *testing.T) string {
	t.Helper()
	var bundle corev1.ConfigMap
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: hostsNamespace, Name: "doorward-trust-bundle"}, &bundle); err != nil {
		t.Fatal(err)
	}
	if bundle.Data["ca.crt"] == "" {
		t.Error("the bundle has no authority of serving certificates")
	}
	return bundle.Data["known_hosts"]
}

// TestHostKeys: checklist 6. OpenSSH's client knows a proxy by what the manager publishes,
// before and after the loss of the authority.
func TestHostKeys(t *testing.T) {
	create(t, shell("box"))
	create(t, external(hostsNamespace, "wordy"))
	first := shownBy(t, "box", func(g gomega.Gomega, c *ssh.Certificate) {
		g.Expect(c.ValidPrincipals).To(gomega.ConsistOf("localhost", "127.0.0.1"))
		g.Expect(c.KeyId).To(gomega.Equal("hosts/box"))
	})
	eventually(t, func(g gomega.Gomega) {
		g.Expect(reason(get(g, hostsNamespace, "box", &v1alpha1.Connection{}), v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("True CertificateIssued"))
		g.Expect(get(g, hostsNamespace, "doorward-wordy-serving", &corev1.Secret{}).Data).To(gomega.HaveLen(2), "only protocols that ask for host keys have them")
	})
	server := sshhost.Listen(t, func() ([]ssh.Signer, error) { return hostKeysOf("box") })
	former := knownHosts(t)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if err := server.OpenSSH(t, sshhost.Login{Host: host, KnownHosts: former}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := sshhost.Refused(server.OpenSSH(t, sshhost.Login{Host: "localhost", Alias: "doorward-box.other.svc", KnownHosts: former})); err != nil {
		t.Errorf("by the name of another: %v", err)
	}

	t.Run("Names", func(t *testing.T) {
		renamed := get(gomega.NewWithT(t), hostsNamespace, "box", &v1alpha1.Connection{})
		renamed.Spec.Proxy.External.ServerNames = []string{"box.hosts.svc", "localhost"}
		if err := admin.Update(t.Context(), renamed); err != nil {
			t.Fatal(err)
		}
		now := shownBy(t, "box", func(g gomega.Gomega, c *ssh.Certificate) {
			g.Expect(c.ValidPrincipals).To(gomega.ConsistOf("localhost", "box.hosts.svc"))
		})
		sameKey(t, first, now)
	})
	t.Run("Forbidden", func(t *testing.T) {
		bank := shell("bank")
		bank.Spec.Proxy.External.ServerNames = []string{"bank.example"}
		create(t, bank)
		eventually(t, func(g gomega.Gomega) {
			c := get(g, hostsNamespace, "bank", &v1alpha1.Connection{})
			g.Expect(reason(c, v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("False CertificateFailed"))
			g.Expect(message(c, v1alpha1.ConditionServingCertificateReady)).To(gomega.ContainSubstring("--ca-permitted-domains"))
		})
		if keys, err := hostKeysOf("bank"); err == nil {
			t.Errorf("a certificate for bank.example: %v", keys[0].PublicKey())
		}
	})
	t.Run("Foreign", func(t *testing.T) {
		certifyForeign(t, "box")
		now := shownBy(t, "box", func(g gomega.Gomega, c *ssh.Certificate) {
			g.Expect(c.SignatureKey.Marshal()).To(gomega.Equal(first.SignatureKey.Marshal()))
		})
		sameKey(t, first, now)
	})
	t.Run("Damaged", func(t *testing.T) { damaged(t, former) })
	t.Run("Lost", func(t *testing.T) {
		if err := admin.Delete(t.Context(), hostAuthoritySecret(t)); err != nil {
			t.Fatal(err)
		}
		now := shownBy(t, "box", func(g gomega.Gomega, c *ssh.Certificate) {
			g.Expect(c.SignatureKey.Marshal()).NotTo(gomega.Equal(first.SignatureKey.Marshal()))
		})
		sameKey(t, first, now)
		if err := server.OpenSSH(t, sshhost.Login{Host: "localhost", KnownHosts: knownHosts(t)}); err != nil {
			t.Errorf("with the new bundle: %v", err)
		}
		if err := sshhost.Refused(server.OpenSSH(t, sshhost.Login{Host: "localhost", KnownHosts: former})); err != nil {
			t.Errorf("with the former bundle: %v", err)
		}
		pinned := "[localhost]:" + server.Port + " " + string(ssh.MarshalAuthorizedKey(first.Key))
		if err := server.OpenSSH(t, sshhost.Login{Host: "localhost", KnownHosts: pinned}); err != nil {
			t.Errorf("who has pinned the key: %v", err)
		}
	})
	t.Run("KeyDamaged", func(t *testing.T) { keyDamaged(t, first) })
}

// damaged: an authority that cannot be read is told of and never replaced, and is nothing to
// Connections that do not need it.
func damaged(t *testing.T, former string) {
	t.Helper()
	secret := hostAuthoritySecret(t)
	good := secret.DeepCopy()
	secret.Data["ssh-privatekey"] = []byte("torn")
	if err := admin.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	create(t, external(hostsNamespace, "later"))
	eventually(t, func(g gomega.Gomega) {
		box := get(g, hostsNamespace, "box", &v1alpha1.Connection{})
		g.Expect(reason(box, v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("False CertificateFailed"))
		g.Expect(message(box, v1alpha1.ConditionServingCertificateReady)).To(gomega.And(
			gomega.ContainSubstring(ca.HostSecretName), gomega.ContainSubstring("restore it, or delete it")))
		later := get(g, hostsNamespace, "later", &v1alpha1.Connection{})
		g.Expect(reason(later, v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("True CertificateIssued"))
	})
	if known := knownHosts(t); known != former {
		t.Errorf("published while the authority cannot be read:\n%s\nwant what was:\n%s", known, former)
	}
	good.ResourceVersion = secret.ResourceVersion
	if err := admin.Update(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(g gomega.Gomega) {
		box := get(g, hostsNamespace, "box", &v1alpha1.Connection{})
		g.Expect(reason(box, v1alpha1.ConditionServingCertificateReady)).To(gomega.Equal("True CertificateIssued"))
	})
}

// keyDamaged: a host key that nobody can read is replaced, and said to be.
func keyDamaged(t *testing.T, first *ssh.Certificate) {
	t.Helper()
	var secret corev1.Secret
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: hostsNamespace, Name: "doorward-box-serving"}, &secret); err != nil {
		t.Fatal(err)
	}
	secret.Data[hostkey.PrivateKey] = []byte("torn")
	if err := admin.Update(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	shownBy(t, "box", func(g gomega.Gomega, c *ssh.Certificate) {
		g.Expect(c.Key.Marshal()).NotTo(gomega.Equal(first.Key.Marshal()))
	})
	eventually(t, func(g gomega.Gomega) {
		var all eventsv1.EventList
		g.Expect(admin.List(t.Context(), &all, client.InNamespace(hostsNamespace))).To(gomega.Succeed())
		g.Expect(slices.ContainsFunc(all.Items, func(e eventsv1.Event) bool {
			return e.Reason == "HostKeyReplaced" && e.Regarding.Name == "box"
		})).To(gomega.BeTrue(), "nobody was told that the host key is another")
	})
}

func hostAuthoritySecret(t *testing.T) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: ca.HostSecretName}, &secret); err != nil {
		t.Fatal(err)
	}
	return &secret
}

// certifyForeign has somebody else's authority sign a Connection's host key.
func certifyForeign(t *testing.T, name string) {
	t.Helper()
	constraints, err := ca.NewConstraints(ca.DefaultDNSDomains, ca.DefaultIPRanges)
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: hostsNamespace, Name: "doorward-" + name + "-serving"}, &secret); err != nil {
		t.Fatal(err)
	}
	certificate, err := hostkey.ParseCertificate(secret.Data[hostkey.Certificate])
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	pair, err := ca.NewHostAuthority(constraints, from)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.LoadHost(pair)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := authority.Certify(ca.Pair{Key: secret.Data[hostkey.PrivateKey]}, "hosts/"+name, certificate.ValidPrincipals, from)
	if err != nil {
		t.Fatal(err)
	}
	secret.Data[hostkey.Certificate] = signed.Certificate
	if err := admin.Update(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
}

// sameKey: what people have pinned outlives certificates.
func sameKey(t *testing.T, first, now *ssh.Certificate) {
	t.Helper()
	if string(first.Key.Marshal()) != string(now.Key.Marshal()) {
		t.Error("the host key is another")
	}
}
