// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"os"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

func oidcProvider(change func(*v1alpha1.OIDCProvider)) v1alpha1.IdentityProviderSpec {
	oidc := &v1alpha1.OIDCProvider{
		Issuer:        v1alpha1.OIDCIssuer{URL: "https://company.example", Audiences: []string{"doorward"}},
		ClaimMappings: v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "sub", Prefix: new("")}},
	}
	change(oidc)
	return v1alpha1.IdentityProviderSpec{Type: v1alpha1.IdentityProviderOIDC, OIDC: oidc}
}

func cluster(url, prefix string) v1alpha1.IdentityProviderSpec {
	return v1alpha1.IdentityProviderSpec{Type: v1alpha1.IdentityProviderKubernetes, Kubernetes: &v1alpha1.KubernetesProvider{
		Issuer: v1alpha1.OIDCIssuer{URL: url, Audiences: []string{"doorward"}}, Verification: v1alpha1.TokenVerificationIssuerKeys, Prefix: &prefix,
	}}
}

// samlProvider is the sample's.
func samlProvider(t *testing.T, change func(*v1alpha1.IdentityProviderSpec)) v1alpha1.IdentityProviderSpec {
	t.Helper()
	text, err := os.ReadFile("../../config/samples/identityprovider_saml.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var provider v1alpha1.IdentityProvider
	if err := yaml.UnmarshalStrict(text, &provider); err != nil {
		t.Fatal(err)
	}
	change(&provider.Spec)
	return provider.Spec
}

func withLogin(spec v1alpha1.IdentityProviderSpec, verification v1alpha1.TokenVerification) v1alpha1.IdentityProviderSpec {
	spec.Kubernetes.Verification = verification
	spec.Login = &v1alpha1.LoginSettings{LifetimeSeconds: 3600}
	return spec
}

// TestProviders: what a proxy would refuse is not accepted, and the admin is told the field and
// the place; of two that contradict each other the elder is.
func TestProviders(t *testing.T) {
	t.Parallel()
	unknown := cluster("https://a.example", "")
	unknown.Kubernetes.Verification = "Trust"
	cases := map[string]struct {
		reason  string
		specs   []v1alpha1.IdentityProviderSpec
		because string // of the last one
		says    []string
	}{
		"Expression": {
			reason: "each fault with its place",
			specs: []v1alpha1.IdentityProviderSpec{oidcProvider(func(o *v1alpha1.OIDCProvider) {
				o.ClaimMappings.Username = v1alpha1.PrefixedClaimMapping{Expression: "claims.sub + token"}
				o.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "tenant", RequiredValue: "shop"}, {Expression: "claims.sub"}}
			})},
			because: v1alpha1.ReasonInvalid,
			says:    []string{"spec.oidc.claimMappings.username.expression: compilation failed: at 1:14: undeclared reference to 'token'", "; spec.oidc.claimValidationRules[1].expression: must evaluate to bool"},
		},
		"Email": {
			reason: "checklist 28: an address that nobody verified is no name",
			specs: []v1alpha1.IdentityProviderSpec{oidcProvider(func(o *v1alpha1.OIDCProvider) {
				o.ClaimMappings.Username = v1alpha1.PrefixedClaimMapping{Expression: "claims.email"}
			})},
			because: v1alpha1.ReasonInvalid, says: []string{"claims.email_verified"},
		},
		"NoUsername": {
			reason:  "checklist 40: stored round admission, it would stop every snapshot at the proxies",
			specs:   []v1alpha1.IdentityProviderSpec{oidcProvider(func(o *v1alpha1.OIDCProvider) { o.ClaimMappings.Username = v1alpha1.PrefixedClaimMapping{} })},
			because: v1alpha1.ReasonInvalid, says: []string{"username"},
		},
		"Verification": {reason: "nor one that no proxy knows", specs: []v1alpha1.IdentityProviderSpec{unknown}, because: v1alpha1.ReasonInvalid, says: []string{"Trust"}},
		"NoSettings":   {reason: "a type has its settings", specs: []v1alpha1.IdentityProviderSpec{{Type: v1alpha1.IdentityProviderKubernetes}}, because: v1alpha1.ReasonInvalid, says: []string{"with its settings"}},
		"TwoClusters":  {reason: "names of two clusters are told apart", specs: []v1alpha1.IdentityProviderSpec{cluster("https://a.example", "a:"), cluster("https://b.example", "b:")}, because: v1alpha1.ReasonAccepted},
		"SameNames": {
			reason: "or the younger is not accepted", specs: []v1alpha1.IdentityProviderSpec{cluster("https://a.example", ""), cluster("https://b.example", "b:")},
			because: v1alpha1.ReasonUsernameOverlap, says: []string{"one user name of two ServiceAccounts"},
		},
		"SAML": {reason: "the sample is accepted", specs: []v1alpha1.IdentityProviderSpec{samlProvider(t, func(*v1alpha1.IdentityProviderSpec) {})}, because: v1alpha1.ReasonAccepted},
		"NoMetadata": {
			reason: "nobody could log in, and nobody would know why", because: v1alpha1.ReasonInvalid, says: []string{"spec.saml.metadata: ", "another identity provider"},
			specs: []v1alpha1.IdentityProviderSpec{samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) { s.SAML.EntityID = "urn:other" })},
		},
		"NoLogin": {
			reason: "stored round admission, nobody could log in", because: v1alpha1.ReasonInvalid, says: []string{"spec.login"},
			specs: []v1alpha1.IdentityProviderSpec{samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) { s.Login = nil })},
		},
		"LoginByReview": {
			reason: "what proxies would always refuse", because: v1alpha1.ReasonInvalid, says: []string{"set spec.kubernetes.verification to IssuerKeys, or remove spec.login"},
			specs: []v1alpha1.IdentityProviderSpec{withLogin(cluster("https://a.example", ""), v1alpha1.TokenVerificationTokenReview)},
		},
		"LoginByKeys": {
			reason: "and what they take", because: v1alpha1.ReasonAccepted,
			specs: []v1alpha1.IdentityProviderSpec{withLogin(cluster("https://a.example", ""), v1alpha1.TokenVerificationIssuerKeys)},
		},
		"SAMLExpression": {
			reason: "each fault with its place", because: v1alpha1.ReasonInvalid, says: []string{"spec.saml.claimMappings.username.expression: compilation failed", "spec.saml.userValidationRules[0].expression"},
			specs: []v1alpha1.IdentityProviderSpec{samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) {
				s.SAML.ClaimMappings.Username = v1alpha1.PrefixedClaimMapping{Expression: "claim.uid"}
				s.SAML.UserValidationRules = []v1alpha1.UserValidationRule{{Expression: "user"}}
			})},
		},
		"SAMLEmail": {
			reason: "checklist 28: nor is an address of an assertion verified", because: v1alpha1.ReasonInvalid, says: []string{"email_verified"},
			specs: []v1alpha1.IdentityProviderSpec{samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) { s.SAML.ClaimMappings.Username.Claim = "email" })},
		},
		"SAMLEmailByCEL": {
			reason: "by an expression either, but for who says so", because: v1alpha1.ReasonInvalid, says: []string{"add a rule to spec.saml.claimValidationRules, such as claims.?email_verified.orValue('') == 'true'"},
			specs: []v1alpha1.IdentityProviderSpec{samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) {
				s.SAML.ClaimMappings.Username = v1alpha1.PrefixedClaimMapping{Expression: "claims.email"}
			})},
		},
		"SameEntity": {
			reason: "an entity is one provider's", because: v1alpha1.ReasonDuplicateIssuer, says: []string{"same SAML identity provider"},
			specs: []v1alpha1.IdentityProviderSpec{
				samlProvider(t, func(*v1alpha1.IdentityProviderSpec) {}),
				samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) { s.KubernetesUsername = nil }),
			},
		},
		"SameUsers": {
			reason: "checklist 32: nobody has two names at the API server by two providers", because: v1alpha1.ReasonUsernameOverlap,
			specs: []v1alpha1.IdentityProviderSpec{
				samlProvider(t, func(*v1alpha1.IdentityProviderSpec) {}),
				func() v1alpha1.IdentityProviderSpec {
					spec := oidcProvider(func(*v1alpha1.OIDCProvider) {})
					spec.KubernetesUsername = &v1alpha1.KubernetesUsernameMapping{Prefix: "staff:"}
					return spec
				}(),
			},
		},
		"SameRealm": {
			reason: "Keycloak calls a realm by one name in both protocols; what is for whom tells them apart", because: v1alpha1.ReasonAccepted,
			specs: []v1alpha1.IdentityProviderSpec{
				samlProvider(t, func(*v1alpha1.IdentityProviderSpec) {}),
				oidcProvider(func(o *v1alpha1.OIDCProvider) { o.Issuer.URL = "https://idp.shop.example/metadata" }),
			},
		},
		"SameRealmAndAudience": {
			reason: "or does not", because: v1alpha1.ReasonDuplicateIssuer,
			specs: []v1alpha1.IdentityProviderSpec{
				samlProvider(t, func(s *v1alpha1.IdentityProviderSpec) { s.SAML.ServiceProviderEntityID = "urn:x:y" }),
				oidcProvider(func(o *v1alpha1.OIDCProvider) {
					o.Issuer.URL, o.Issuer.Audiences = "https://idp.shop.example/metadata", []string{"urn:x:y"}
				}),
			},
		},
		"SameIssuer": {
			reason:  "a token is one provider's, whatever their types",
			specs:   []v1alpha1.IdentityProviderSpec{cluster("https://company.example", ""), oidcProvider(func(*v1alpha1.OIDCProvider) {})},
			because: v1alpha1.ReasonDuplicateIssuer,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var all []v1alpha1.IdentityProvider
			for i, spec := range tc.specs {
				all = append(all, v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Name: string(rune('a' + i))}, Spec: spec})
			}
			accepted, verdicts := Providers(all)
			last := verdicts[all[len(all)-1].Name]
			if last.Reason != tc.because || strings.Contains(last.Message, "\n") {
				t.Errorf("%s: got %+v, want %s in one line", tc.reason, last, tc.because)
			}
			for _, want := range tc.says {
				if !strings.Contains(last.Message, want) {
					t.Errorf("%s: got %q, want %q", tc.reason, last.Message, want)
				}
			}
			if want := len(all) - 1; tc.because != v1alpha1.ReasonAccepted && len(accepted) != want {
				t.Errorf("%s: %d are accepted, want %d", tc.reason, len(accepted), want)
			}
		})
	}
}

// TestKeptClaims: what a provider keeps anyway is not asked of the token's claims of that name.
func TestKeptClaims(t *testing.T) {
	t.Parallel()
	providers := []snapshot.IdentityProvider{
		{Name: "corp", OIDC: &snapshot.OIDC{Mapped: snapshot.Mapped{Extra: []snapshot.ExtraMapping{{Key: "shop.example/tenant"}}}}},
		{Name: "cluster", Kubernetes: &snapshot.Kubernetes{}},
	}
	names := []string{"shop.example/tenant", "authentication.kubernetes.io/pod-name", "department"}
	var subjects []policy.Subject
	for _, name := range names {
		subjects = append(subjects, policy.Subject{Kind: policy.Claim, Name: name, Values: []string{"x"}})
	}
	nameClaims(providers, policy.Set{Policies: []policy.Policy{{Name: "p", Subjects: subjects}}})
	if want := []string{"authentication.kubernetes.io/pod-name", "department"}; !slices.Equal(providers[0].Claims, want) {
		t.Errorf("of people: %q, want %q", providers[0].Claims, want)
	}
	if want := []string{"department", "shop.example/tenant"}; !slices.Equal(providers[1].Claims, want) {
		t.Errorf("of ServiceAccounts: %q, want %q", providers[1].Claims, want)
	}
}
