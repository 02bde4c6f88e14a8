// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sessions

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestDetails: whoever looks at a session sees that nobody approved what was done, and that
// others use the credential, too.
func TestDetails(t *testing.T) {
	s := &v1alpha1.AuditSession{}
	s.Spec.Actor.ProofID = "0123456789abcdef0123456789abcdef"
	text := func() string {
		var b strings.Builder
		if _, err := details(s).WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := text(); !strings.Contains(got, s.Spec.Actor.ProofID) || strings.Contains(got, "without approvals") || strings.Contains(got, "Shared credential") {
		t.Errorf("a session of which nothing was found is shown as\n%s", got)
	}
	s.Status.BreakGlass = []string{"orders-db-x7k2p", "orders-db-b4l9q"}
	s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionSharedCredential, Status: metav1.ConditionTrue, Message: "used from 192.0.2.0/24,\x1b[2K 198.51.100.0/24"}}
	for _, want := range []string{"orders-db-x7k2p, orders-db-b4l9q\n", "used from 192.0.2.0/24,\\u{1b}[2K 198.51.100.0/24\n"} {
		if got := text(); !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}
