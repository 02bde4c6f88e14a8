// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

func TestSpecChanged(t *testing.T) {
	object := func(uid types.UID, generation int64, labels map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{UID: uid, Generation: generation, Labels: labels}}
	}
	for name, tc := range map[string]struct {
		reason        string
		before, after *corev1.ConfigMap
		want          bool
	}{
		"Status":    {"Neither the status nor labels are spec.", object("a", 1, nil), object("a", 1, map[string]string{"a": "b"}), false},
		"Edited":    {"An edit counts the generation up.", object("a", 1, nil), object("a", 2, nil), true},
		"MadeAnew":  {"Another object of the same name begins at the same generation.", object("a", 1, nil), object("b", 1, nil), true},
		"Unchanged": {"A resync is no change.", object("a", 1, nil), object("a", 1, nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SpecChanged().Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}); got != tc.want {
				t.Errorf("%s: got %t", tc.reason, got)
			}
		})
	}
}
