// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestPod: a forward leads to a ready pod of the Service, and to no other of the namespace.
func TestPod(t *testing.T) {
	pod := func(name string, ready corev1.ConditionStatus, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	own := map[string]string{"app": "proxy"}
	cases := map[string]struct {
		reason   string
		selector map[string]string
		pods     []*corev1.Pod
		want     string
	}{
		"Own":        {"that of the Service", own, []*corev1.Pod{pod("another", corev1.ConditionTrue, nil), pod("own", corev1.ConditionTrue, own)}, "own"},
		"NotReady":   {"none that starts", own, []*corev1.Pod{pod("own", corev1.ConditionFalse, own)}, ""},
		"NoSelector": {"a Service without a selector is not one of all pods", nil, []*corev1.Pod{pod("another", corev1.ConditionTrue, nil)}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			clients := fake.NewClientset(&corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "proxy"},
				Spec:       corev1.ServiceSpec{Selector: tc.selector, Ports: []corev1.ServicePort{{Port: 5432}}},
			})
			for _, p := range tc.pods {
				if err := clients.Tracker().Add(p); err != nil {
					t.Fatal(err)
				}
			}
			f := &Forwarder{clients: clients, namespace: "shop", service: "proxy", port: "5432"}
			got, port, err := f.pod(t.Context())
			if got != tc.want || (tc.want == "") != errors.Is(err, ErrNoPod) || tc.want != "" && port != 5432 {
				t.Errorf("%s: %q, port %d, %v", tc.reason, got, port, err)
			}
		})
	}
}
