// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestMaskKey: a snapshot holds the key of masks where one needs it, derived for
// this very Connection. checklist 49: no object that the manager writes shows it.
func TestMaskKey(t *testing.T) {
	const ns = "policies"
	create(t, external(ns, "hashed"))
	create(t, external(ns, "redacted"))
	hash, redact := allow(ns, "hashed", "hashed"), allow(ns, "redacted", "redacted")
	hash.Spec.Masks = []v1alpha1.Mask{{Name: "m", Fields: []string{"*.card"}, Method: v1alpha1.MaskMethod{Type: v1alpha1.MaskHash}}}
	redact.Spec.Masks = []v1alpha1.Mask{{Name: "m", Fields: []string{"*.card"}, Method: v1alpha1.MaskMethod{Type: v1alpha1.MaskRedact}}}
	create(t, hash)
	create(t, redact)
	awaitSnapshot(t, ns, "hashed", 1, 1)
	awaitSnapshot(t, ns, "redacted", 1, 1)
	g := gomega.NewWithT(t)
	keys, err := publish.LoadMaskKeys(t.Context(), admin, "doorward-system")
	g.Expect(err).NotTo(gomega.HaveOccurred())
	want, err := keys.For(get(g, ns, "hashed", &v1alpha1.Connection{}).UID)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	open := func(name string) *snapshot.Snapshot {
		s, err := snapshot.Open(get(g, ns, "doorward-"+name+"-snapshot", &corev1.Secret{}).Data, publicKey(g))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		return s
	}
	if got := open("hashed").MaskKey; got.IsZero() || !got.Equal(want) {
		t.Error("the snapshot does not hold the key of this Connection")
	}
	if !open("redacted").MaskKey.IsZero() {
		t.Error("a snapshot holds a key that no mask needs")
	}
	key := want.Bytes()
	secret := get(g, "doorward-system", publish.MaskKeySecretName, &corev1.Secret{})
	for _, list := range []client.ObjectList{
		&v1alpha1.ConnectionList{}, &v1alpha1.AccessPolicyList{}, &corev1.ConfigMapList{}, &corev1.EventList{}, &eventsv1.EventList{},
	} {
		g.Expect(admin.List(t.Context(), list)).To(gomega.Succeed())
		text, err := json.Marshal(list)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		for _, canary := range append([][]byte{key[:]}, secret.Data["mask.secret"]) {
			if len(canary) == 0 || strings.Contains(string(text), base64.StdEncoding.EncodeToString(canary)) || strings.Contains(string(text), hex.EncodeToString(canary)) {
				t.Errorf("%T shows the key of masks, or there is none", list)
			}
		}
	}
}

// TestDutyWithoutProtocol: what a protocol cannot do is no silent wish.
func TestDutyWithoutProtocol(t *testing.T) {
	const ns = "policies"
	create(t, external(ns, "roles"))
	create(t, allow(ns, "roles", "roles"))
	role := allow(ns, "with-role", "roles")
	role.Spec.TargetRole = "reader"
	create(t, role)
	eventually(t, func(g gomega.Gomega) {
		p := get(g, ns, "with-role", &v1alpha1.AccessPolicy{})
		g.Expect(reason(p, v1alpha1.ConditionAccepted)).To(gomega.Equal("False UnknownPattern"))
		g.Expect(message(p, v1alpha1.ConditionAccepted)).To(gomega.ContainSubstring("the protocol has no roles"))
		g.Expect(reason(get(g, ns, "roles", &v1alpha1.Connection{}), v1alpha1.ConditionAccepted)).To(gomega.Equal("False PolicyAtFault"))
	})
}
