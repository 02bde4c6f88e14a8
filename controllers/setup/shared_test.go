// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"testing"

	"github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestSharedAcrossProxies: sessions of one credential at two proxies, from two networks, are
// an Event on one of them; that of another credential is not.
func TestSharedAcrossProxies(t *testing.T) {
	const ns = "shared"
	create(t, external(ns, "shop"))
	awaitSnapshot(t, ns, "shop", 1, 0)
	var proxy client.Client
	eventually(t, func(g gomega.Gomega) {
		config, err := env.ServiceAccountConfig(t.Context(), ns, "doorward-shop")
		g.Expect(err).NotTo(gomega.HaveOccurred())
		proxy = clientOf(t, config)
		for name, of := range map[string]struct{ proof, proxy, client string }{
			"one": {"0a1b", "shop-1", "192.0.2.1:5000"}, "two": {"0a1b", "shop-2", "198.51.100.1:5000"}, "three": {"2c3d", "shop-3", "203.0.113.1:5000"},
		} {
			s := session(ns, name)
			s.Spec.Actor.ProofID, s.Spec.ProxyInstance, s.Spec.ClientAddress = of.proof, of.proxy, of.client
			g.Expect(client.IgnoreAlreadyExists(proxy.Create(t.Context(), s))).To(gomega.Succeed())
		}
	})
	eventually(t, func(g gomega.Gomega) {
		var events eventsv1.EventList
		g.Expect(admin.List(t.Context(), &events, client.InNamespace(ns))).To(gomega.Succeed())
		var found []string
		for i := range events.Items {
			if e := &events.Items[i]; e.Reason == "SharedCredential" {
				found = append(found, e.Regarding.Name+" "+e.Note)
			}
		}
		g.Expect(found).To(gomega.HaveLen(1))
		g.Expect(found[0]).To(gomega.And(gomega.ContainSubstring("192.0.2.0/24"), gomega.ContainSubstring("198.51.100.0/24"), gomega.ContainSubstring("AuditSession shared/")))
	})
}
