// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"maps"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestTamper overwrites, rolls back, freezes and deletes a snapshot as a user with
// the built-in role edit. Each time a snapshot of a higher revision is back.
func TestTamper(t *testing.T) {
	const ns = "tamper"
	create(t, external(ns, "shop"))
	first := awaitSnapshot(t, ns, "shop", 1, 0)
	create(t, allow(ns, "analysts", "shop"))
	second := awaitSnapshot(t, ns, "shop", first.revision+1, 1)

	config, err := env.AddUser("mallory")
	if err != nil {
		t.Fatal(err)
	}
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mallory"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: "mallory", APIGroup: rbacv1.GroupName}},
	})
	mallory := clientOf(t, config)
	yes := true
	revision := second.revision
	for _, tc := range []struct {
		name string
		do   func(secret *corev1.Secret) error
	}{
		{"overwritten", func(s *corev1.Secret) error {
			s.Data[snapshot.KeySnapshot] = []byte("forged")
			return mallory.Update(t.Context(), s)
		}},
		{"rolled back", func(s *corev1.Secret) error {
			s.Data = maps.Clone(first.data)
			return mallory.Update(t.Context(), s)
		}},
		{"frozen", func(s *corev1.Secret) error {
			s.Data, s.Immutable = maps.Clone(first.data), &yes
			return mallory.Update(t.Context(), s)
		}},
		{"of another type", func(s *corev1.Secret) error {
			if err := mallory.Delete(t.Context(), s); err != nil {
				return err
			}
			err := mallory.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: s.Name}, Data: first.data})
			return client.IgnoreAlreadyExists(err)
		}},
		{"deleted", func(s *corev1.Secret) error { return mallory.Delete(t.Context(), s) }},
	} {
		eventually(t, func(g gomega.Gomega) {
			g.Expect(tc.do(get(g, ns, "doorward-shop-snapshot", &corev1.Secret{}))).To(gomega.Succeed(), tc.name)
		})
		got := awaitSnapshot(t, ns, "shop", revision+1, 1)
		if got.revision <= revision {
			t.Errorf("%s: revision %d after %d", tc.name, got.revision, revision)
		}
		revision = got.revision
	}
	eventually(t, func(g gomega.Gomega) {
		var events eventsv1.EventList
		g.Expect(admin.List(t.Context(), &events, client.InNamespace(ns))).To(gomega.Succeed())
		found := false
		for _, e := range events.Items {
			found = found || e.Reason == "SnapshotRepaired" && e.Regarding.Name == "shop"
		}
		g.Expect(found).To(gomega.BeTrue())
	})

	// Revisions rise over a restart of the manager too, though the Secret is gone.
	manager.stop()
	if err := admin.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "doorward-shop-snapshot"}}); err != nil {
		t.Fatal(err)
	}
	if manager, err = startManager(); err != nil {
		t.Fatal(err)
	}
	awaitSnapshot(t, ns, "shop", revision+1, 1)
}

type seen struct {
	revision int64
	data     map[string][]byte
}

// awaitSnapshot waits for a snapshot under our signature with at least this
// revision and exactly so many policies.
func awaitSnapshot(t *testing.T, ns, name string, revision int64, policies int) seen {
	t.Helper()
	var found seen
	eventually(t, func(g gomega.Gomega) {
		secret := get(g, ns, "doorward-"+name+"-snapshot", &corev1.Secret{})
		s, err := snapshot.Open(secret.Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(s.Revision).To(gomega.BeNumerically(">=", revision))
		g.Expect(s.Policies.Policies).To(gomega.HaveLen(policies))
		c := get(g, ns, name, &v1alpha1.Connection{})
		g.Expect(c.Status.Snapshot.Revision).To(gomega.Equal(s.Revision))
		beat, err := snapshot.OpenHeartbeat(secret.Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(beat.Revision).To(gomega.Equal(s.Revision))
		found = seen{revision: s.Revision, data: secret.Data}
	})
	return found
}

// effects are the effects of all rules of the published snapshot.
func effects(g gomega.Gomega, ns, name string) []string {
	s, err := snapshot.Open(get(g, ns, "doorward-"+name+"-snapshot", &corev1.Secret{}).Data, publicKey(g))
	g.Expect(err).NotTo(gomega.HaveOccurred())
	var all []string
	for _, p := range s.Policies.Policies {
		for _, r := range p.Rules {
			all = append(all, string(r.Effect))
		}
	}
	return all
}
