// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What proxies show to the witness, and report, is theirs to write: not even who may
// write every ConfigMap of the namespace can speak in their place (checklist 45).
func TestProxyReports(t *testing.T) {
	const refused = "does not hold the verb serve on connections.doorward.dev/"
	tests := map[string]struct {
		reason string
		name   string
		user   client.Client
		want   string
	}{
		"checkpoints by an editor": {"It would make the witness object to a log that is fine.", "doorward-orders-db-checkpoints", as("company:oscar"), refused + "orders-db"},
		"reports by an editor":     {"It would speak for a proxy.", "doorward-orders-db-proxies", as("company:oscar"), refused + "orders-db"},
		"the proxy":                {"It holds the verb.", "doorward-orders-db-checkpoints", as(proxyUser), ""},
		"the manager":              {"It makes them, and takes out what is old.", "doorward-other-proxies", as(managerUser), ""},
		"any other ConfigMap":      {"It is nobody's business.", "doorward-trust-bundle", as("company:oscar"), ""},
		"one that looks alike":     {"It belongs to no Connection.", "orders-db-checkpoints", as("company:oscar"), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: tc.name}}
			err := tc.user.Create(t.Context(), object, client.DryRunAll)
			expect(t, "create: "+tc.reason, err, tc.want)
			if tc.want != "" && !apierrors.IsForbidden(err) {
				t.Errorf("create: %s: want Forbidden, got: %v", tc.reason, err)
			}
			object.ResourceVersion = ""
			if err := admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := admin.Delete(context.WithoutCancel(t.Context()), object); err != nil {
					t.Error(err)
				}
			})
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"a":"b"}}`))
			expect(t, "patch: "+tc.reason, tc.user.Patch(t.Context(), object, patch, client.DryRunAll), tc.want)
		})
	}
}
