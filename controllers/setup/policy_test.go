// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestPolicyAtFault: checklist 40: a typo in a restriction closes, and says where.
func TestPolicyAtFault(t *testing.T) {
	const ns = "policies"
	create(t, external(ns, "shop"))
	create(t, allow(ns, "analysts", "shop"))
	eventually(t, func(g gomega.Gomega) {
		p := get(g, ns, "analysts", &v1alpha1.AccessPolicy{})
		g.Expect(reason(p, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		g.Expect(p.Status.Connections).To(gomega.HaveLen(1))
	})
	typo := allow(ns, "typo", "shop")
	typo.Spec.Rules = []v1alpha1.Rule{{Name: "no", Effect: v1alpha1.EffectDeny, Actions: []string{"updaet"}}}
	create(t, typo)
	eventually(t, func(g gomega.Gomega) {
		p := get(g, ns, "typo", &v1alpha1.AccessPolicy{})
		g.Expect(reason(p, v1alpha1.ConditionAccepted)).To(gomega.Equal("False UnknownPattern"))
		g.Expect(message(p, v1alpha1.ConditionAccepted)).To(gomega.ContainSubstring(`did you mean "update"`))
		c := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionAccepted)).To(gomega.Equal("False PolicyAtFault"))
	})
	awaitSnapshot(t, ns, "shop", 1, 1) // one policy: the refusal
	if err := admin.Delete(t.Context(), typo); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "shop", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
	})
}

// TestConnectionAtFault: what was published before is closed, not left as it was.
func TestConnectionAtFault(t *testing.T) {
	const ns = "policies"
	create(t, external(ns, "edited"))
	create(t, allow(ns, "edited", "edited"))
	awaitSnapshot(t, ns, "edited", 1, 1)
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "edited", &v1alpha1.Connection{})
		c.Spec.TLS = &v1alpha1.TargetTLS{CertificateAuthority: &v1alpha1.CertificateAuthority{
			Type: v1alpha1.CertificateAuthorityConfigMap, ConfigMap: &v1alpha1.ConfigMapKeyReference{Name: "missing", Key: "ca.crt"},
		}}
		g.Expect(admin.Update(t.Context(), c)).To(gomega.Succeed())
	})
	eventually(t, func(g gomega.Gomega) {
		c := get(g, ns, "edited", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionAccepted)).To(gomega.Equal("False ReferenceNotFound"))
		g.Expect(reason(c, v1alpha1.ConditionSnapshotPublished)).To(gomega.Equal("False NotAccepted"))
		g.Expect(effects(g, ns, "edited")).To(gomega.Equal([]string{"Deny"}))
	})
}

// TestUnknownProtocol has no snapshot at all.
func TestUnknownProtocol(t *testing.T) {
	c := external("policies", "unknown")
	c.Spec.Protocol = "wrods"
	create(t, c)
	eventually(t, func(g gomega.Gomega) {
		c := get(g, "policies", "unknown", &v1alpha1.Connection{})
		g.Expect(reason(c, v1alpha1.ConditionAccepted)).To(gomega.Equal("False UnsupportedProtocol"))
		g.Expect(c.Status.Snapshot).To(gomega.BeNil())
	})
}

func TestIdentityProvider(t *testing.T) {
	var issuer *httptest.Server
	issuer = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = w.Write([]byte(`{"keys":[{}]}`)) // the client sees a broken answer
			return
		}
		_, _ = w.Write([]byte(`{"issuer":"` + issuer.URL + `","jwks_uri":"` + issuer.URL + `/keys"}`)) // likewise
	}))
	defer issuer.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw}))
	create(t, provider("company", issuer.URL, authority, "company:"))
	create(t, provider("unreachable", "https://127.0.0.1:1", "", "other:"))
	eventually(t, func(g gomega.Gomega) {
		g.Expect(reason(get(g, "", "company", &v1alpha1.IdentityProvider{}), v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		p := get(g, "", "unreachable", &v1alpha1.IdentityProvider{})
		g.Expect(reason(p, v1alpha1.ConditionIssuerReachable)).To(gomega.Equal("False Unreachable"))
		g.Expect(reason(p, v1alpha1.ConditionAccepted)).To(gomega.Equal("True Accepted"))
	})
	create(t, provider("younger", "https://younger.example", "", "comp"))
	eventually(t, func(g gomega.Gomega) {
		g.Expect(reason(get(g, "", "younger", &v1alpha1.IdentityProvider{}), v1alpha1.ConditionAccepted)).To(gomega.Equal("False UsernameOverlap"))
	})
}

func provider(name, url, authority, prefix string) *v1alpha1.IdentityProvider {
	return &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.IdentityProviderSpec{
			Type: v1alpha1.IdentityProviderOIDC,
			OIDC: &v1alpha1.OIDCProvider{
				Issuer:               v1alpha1.OIDCIssuer{URL: url, Audiences: []string{"doorward"}, CertificateAuthority: authority},
				ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "sub", Prefix: new("")}},
				ClaimValidationRules: []v1alpha1.ClaimValidationRule{},
				UserValidationRules:  []v1alpha1.UserValidationRule{},
			},
			KubernetesUsername: &v1alpha1.KubernetesUsernameMapping{Prefix: prefix},
		},
	}
}
