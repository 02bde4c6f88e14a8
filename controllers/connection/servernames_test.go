// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestForeignName is checklist 41: a name that a Connection of another namespace had
// first is refused, however it is written.
func TestForeignName(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	connection := func(namespace string, made int64, names ...string) *v1alpha1.Connection {
		c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db", CreationTimestamp: metav1.Unix(made, 0)}}
		c.Spec.Proxy.External = &v1alpha1.ExternalProxy{ServerNames: names}
		return c
	}
	const first, later = 1800000000, 1800000001
	held := connection("shop", first, "db.example.org", "2001:db8::1", "192.0.2.1")
	for name, refused := range map[string]bool{
		"db.example.org": true, "DB.example.org": true, "2001:db8::1": true, "2001:DB8::1": true, "2001:db8:0:0::0001": true,
		"192.0.2.1": true, "::ffff:192.0.2.1": true,
		"till.example.org": false, "2001:db8::2": false, "192.0.2.2": false, "localhost": false, "127.0.0.1": false,
		"doorward-db.till.svc": false, "doorward-db.shop.svc": true,
	} {
		mine := connection("till", later, name)
		r := New(Options{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(held, mine).Build(), Now: func() time.Time { return time.Unix(later, 0) }})
		if got, err := r.foreignName(t.Context(), mine, []string{name}, nil); err != nil || (got != nil) != refused {
			t.Errorf("%s: refused: %v, want %t; %v", name, got, refused, err)
		}
	}
}

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
