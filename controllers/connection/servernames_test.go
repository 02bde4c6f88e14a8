// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import "testing"

// TestNamespaceOf: names inside the cluster belong to a namespace, or to nobody.
func TestNamespaceOf(t *testing.T) {
	for name, want := range map[string]struct {
		namespace string
		inCluster bool
	}{
		"doorward-db.shop.svc":                        {"shop", true},
		"doorward-db.shop.svc.cluster.local":          {"shop", true},
		"doorward-db.shop.svc.example.org":            {"shop", true},
		"0.doorward-db.shop.svc":                      {"shop", true},
		"DOORWARD-DB.SHOP.SVC":                        {"shop", true},
		"10-0-0-1.shop.pod.cluster.local":             {"shop", true},
		"shop.svc":                                    {"", true},
		"svc":                                         {"", true},
		"svc.cluster.local":                           {"", true},
		"anything.cluster.local":                      {"", true},
		"cluster.local":                               {"", true},
		"db.example.org":                              {"", false},
		"pod.example.org":                             {"", false},
		"10.0.0.1":                                    {"", false},
		"doorward-db.till.svc.shop.svc.cluster.local": {"", true},
	} {
		if namespace, inCluster := namespaceOf(name); namespace != want.namespace || inCluster != want.inCluster {
			t.Errorf("%q is of namespace %q, in the cluster %t, want %+v", name, namespace, inCluster, want)
		}
	}
}
