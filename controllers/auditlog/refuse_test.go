// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
)

// told counts Events.
type told int

func (n *told) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) { *n++ }

// TestRefuseBounded: whoever may write the ConfigMap of submissions neither
// fills the manager's memory nor floods Events, and a new refusal is told of again
// when the old ones are gone.
func TestRefuseBounded(t *testing.T) {
	var n told
	r := New(Options{Events: &n, Now: time.Now})
	key := types.NamespacedName{Namespace: "shop", Name: "orders"}
	for round := range 3 {
		s := &scope{key: key, connection: &v1alpha1.Connection{}, submitted: &corev1.ConfigMap{Data: map[string]string{}}}
		for i := range 1000 {
			s.submitted.Data[strconv.Itoa(round*1000+i)] = "x"
		}
		for range 2 {
			r.keepRefused(s)
			for instance := range s.submitted.Data {
				r.refuse(s, instance, "Unreadable", "x")
			}
		}
		if kept := len(r.refused[key]); kept != maxRefused || int(n) != maxRefused*(round+1) {
			t.Errorf("round %d: %d refusals kept, %d told", round, kept, n)
		}
	}
}
