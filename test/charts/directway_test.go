// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestDirectWay shows which namespaces the manager may try the direct way in: those of
// Connections and no other, without a list that somebody has to keep beside another.
func TestDirectWay(t *testing.T) {
	kustomize := func(t *testing.T, folder string) []byte {
		t.Helper()
		built, err := run(t.Context(), nil, tool(t, "kustomize"), "build", root("config", folder))
		if err != nil {
			t.Fatal(err)
		}
		return built
	}
	samples := kustomize(t, "samples")
	labelled := []string{"--set", "namespaces={shop-access,billing-access},createNamespaces=true,networkPolicy.directWay.namespaceLabels.team=access"}
	tests := map[string]struct {
		reason     string
		installed  []byte
		namespaces []byte // more namespaces
		want       []string
	}{
		"Kustomize":       {"Namespaces say it themselves, by the label of the sample.", kustomize(t, "default"), samples, []string{"shop-access"}},
		"Chart":           {"The chart has a list, and goes by names.", render(t, chart, "all"), samples, []string{"billing-access", "shop-access"}},
		"ChartWithLabels": {"The chart labels what it makes.", render(t, chart, "", labelled...), render(t, definitions, ""), []string{"billing-access", "shop-access"}},
		"ClusterWide":     {"Every namespace may have Connections.", render(t, chart, "clusterwide"), samples, []string{"doorward-system", "kube-system", "shop-access"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			there := map[string]labels.Set{"doorward-system": {}, "kube-system": {}}
			var policy *networkingv1.NetworkPolicy
			for _, object := range slices.Concat(objects(t, tc.installed), objects(t, tc.namespaces)) {
				switch object.GetKind() {
				case "Namespace":
					there[object.GetName()] = object.GetLabels()
				case "NetworkPolicy":
					policy, _ = typed(t, object).(*networkingv1.NetworkPolicy)
				}
			}
			if policy == nil {
				t.Fatal("no NetworkPolicy")
			}
			var got []string
			for _, namespace := range slices.Sorted(maps.Keys(there)) {
				// The API server sets it, to the namespace's name.
				all := labels.Merge(there[namespace], labels.Set{corev1.LabelMetadataName: namespace})
				if admits(t, policy, all) {
					got = append(got, namespace)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// admits says whether a policy opens the way to every TCP port of a namespace with the labels.
func admits(t *testing.T, policy *networkingv1.NetworkPolicy, namespace labels.Set) bool {
	t.Helper()
	for _, rule := range policy.Spec.Egress {
		if len(rule.Ports) != 1 || rule.Ports[0].EndPort == nil || rule.Ports[0].Port.IntValue() != 1 || *rule.Ports[0].EndPort != 65535 {
			continue
		}
		for _, peer := range rule.To {
			selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector)
			if err != nil {
				t.Fatal(err)
			}
			if peer.NamespaceSelector != nil && selector.Matches(namespace) {
				return true
			}
		}
	}
	return false
}
