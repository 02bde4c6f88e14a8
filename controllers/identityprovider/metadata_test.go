// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identityprovider

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/test/samltest"
)

// TestMetadataCurrent: an admin is told of the end of metadata before it keeps people
// out, and when it does.
func TestMetadataCurrent(t *testing.T) {
	idp, err := samltest.New("https://idp.example", "https://idp.example/sso")
	if err != nil {
		t.Fatal(err)
	}
	end := idp.Certificate.NotAfter
	for name, test := range map[string]struct {
		reason   string
		now      time.Time
		metadata string
		current  metav1.ConditionStatus
		because  string
		ready    metav1.ConditionStatus
	}{
		"Current":     {"good for a year", end.Add(-365 * 24 * time.Hour), string(idp.Metadata()), metav1.ConditionTrue, v1alpha1.ReasonCurrent, metav1.ConditionTrue},
		"ExpiresSoon": {"good for a week", end.Add(-7 * 24 * time.Hour), string(idp.Metadata()), metav1.ConditionFalse, v1alpha1.ReasonExpiresSoon, metav1.ConditionTrue},
		"Expired":     {"not good any more", end, string(idp.Metadata()), metav1.ConditionFalse, v1alpha1.ReasonMetadataExpired, metav1.ConditionFalse},
		"NoMetadata":  {"what cannot be read has no end", end, "<x/>", metav1.ConditionUnknown, v1alpha1.ReasonProgressing, metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			provider := &v1alpha1.IdentityProvider{Spec: v1alpha1.IdentityProviderSpec{
				Type: v1alpha1.IdentityProviderSAML, SAML: &v1alpha1.SAMLProvider{EntityID: idp.EntityID, Metadata: test.metadata},
			}}
			meta.SetStatusCondition(&provider.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionIssuerReachable, Status: metav1.ConditionTrue, Reason: "Discovered"})
			s := &scope{provider: provider, accepted: kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")}
			if test.metadata == "<x/>" {
				s.accepted = kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, "no metadata")
			}
			r := &Reconciler{Now: func() time.Time { return test.now }}
			if err := r.ask(t.Context(), s); err != nil || s.asked {
				t.Errorf("%s: somebody was asked: %v", test.reason, err)
			}
			if err := r.lookAhead(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			writeStatus(s)
			conditions := provider.Status.Conditions
			current := meta.FindStatusCondition(conditions, v1alpha1.ConditionMetadataCurrent)
			if current == nil || current.Status != test.current || current.Reason != test.because {
				t.Errorf("%s: MetadataCurrent is %+v", test.reason, current)
			}
			if test.current == metav1.ConditionFalse && !strings.Contains(current.Message, "spec.saml.metadata") {
				t.Errorf("%s: no remedy: %q", test.reason, current.Message)
			}
			if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready == nil || ready.Status != test.ready {
				t.Errorf("%s: Ready is %+v, want %s", test.reason, ready, test.ready)
			}
			if meta.FindStatusCondition(conditions, v1alpha1.ConditionIssuerReachable) != nil {
				t.Errorf("%s: IssuerReachable of an issuer that nobody asks", test.reason)
			}
		})
	}
}
