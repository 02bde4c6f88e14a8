// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestLogStaysPrivate: a kubelet that gives a volume to a pod's group opens every
// file in it to that group, unless it is told to look at the volume's root first. The
// log's key would be refused by the next pod.
func TestLogStaysPrivate(t *testing.T) {
	c := &v1alpha1.Connection{}
	c.Namespace, c.Name, c.Spec.Proxy.Placement = "shop-access", "shop", v1alpha1.PlacementManaged
	security := New(Options{Image: "default:1"}).podTemplate(c, 5432).Spec.SecurityContext
	if security.FSGroup == nil || security.FSGroupChangePolicy == nil || *security.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch {
		t.Errorf("security context %+v: want a group for the volume, given when its root is not the group's yet", security)
	}
}
