// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestReviewPort: callers reach the port of questions as they reach that of the
// protocol: by the Service and through the NetworkPolicy of the proxies; and the two
// never are one.
func TestReviewPort(t *testing.T) {
	for name, tc := range map[string]struct {
		reason       string
		protocol     string
		port, review int32
	}{
		"Usual":      {"the first", "postgres", 5432, 8444},
		"Taken":      {"what is served goes first", "https", 8444, 8445},
		"Privileged": {"a port below 1024 is another in the pod", "https", 443, 8444},
		"Named":      {"a protocol of the same name", "review", 8445, 8444},
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.Connection{}
			c.Namespace, c.Name, c.Spec.Proxy.Placement, c.Spec.Protocol = "data", "shop", v1alpha1.PlacementManaged, tc.protocol
			template := New(Options{Image: "default:1"}).podTemplate(c, tc.port)
			container := template.Spec.Containers[0]
			if want := "--review-address=data/shop=:" + strconv.Itoa(int(tc.review)); !slices.Contains(container.Args, want) {
				t.Errorf("%s: no %s in %v", tc.reason, want, container.Args)
			}
			open := map[int32]bool{}
			for _, p := range proxyPolicy(c, template).Spec.Ingress[0].Ports {
				open[p.Port.IntVal] = true
			}
			if !open[tc.review] || !open[containerPort(tc.port)] || len(proxyPolicy(c, template).Spec.Ingress[0].From) != 0 {
				t.Errorf("%s: the NetworkPolicy opens %v", tc.reason, open)
			}
			// The manager alone goes to that of recordings, by the pod's address.
			if want := recordingsPort(tc.port); !open[want] || !slices.Contains(container.Args, "--recordings-address=data/shop=:"+strconv.Itoa(int(want))) {
				t.Errorf("%s: the port of recordings is not open: %v in %v", tc.reason, open, container.Args)
			}
			ports := service(c, tc.port).Spec.Ports
			if len(ports) != 2 || ports[0].Port != tc.port || ports[1].Port != tc.review || ports[1].TargetPort.IntVal != tc.review ||
				ports[1].Name != "review" || ports[0].Name == ports[1].Name || ports[1].Protocol != corev1.ProtocolTCP {
				t.Errorf("%s: the Service has %+v", tc.reason, ports)
			}
		})
	}
}
