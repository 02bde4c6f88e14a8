// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Providers compiles all IdentityProviders of the cluster: the accepted ones,
// sorted by name, and the verdict Accepted of each by name. Of two that
// contradict each other the elder is accepted.
func Providers(all []v1alpha1.IdentityProvider) ([]snapshot.IdentityProvider, map[string]kit.Verdict) {
	verdicts := make(map[string]kit.Verdict, len(all))
	var elders []*v1alpha1.IdentityProvider
	for _, provider := range bySeniority(all) {
		reason, err := checkProvider(provider, elders)
		if err != nil {
			verdicts[provider.Name] = kit.False(v1alpha1.ConditionAccepted, reason, err.Error())
			continue
		}
		verdicts[provider.Name] = kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
		elders = append(elders, provider)
	}
	slices.SortFunc(elders, func(a, b *v1alpha1.IdentityProvider) int { return strings.Compare(a.Name, b.Name) })
	accepted := make([]snapshot.IdentityProvider, 0, len(elders))
	for _, provider := range elders {
		accepted = append(accepted, compileProvider(provider))
	}
	return accepted, verdicts
}

func bySeniority(all []v1alpha1.IdentityProvider) []*v1alpha1.IdentityProvider {
	sorted := make([]*v1alpha1.IdentityProvider, 0, len(all))
	for i := range all {
		sorted = append(sorted, &all[i])
	}
	slices.SortFunc(sorted, func(a, b *v1alpha1.IdentityProvider) int {
		if c := compareTime(a.CreationTimestamp, b.CreationTimestamp); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return sorted
}

func compareTime(a, b metav1.Time) int { return a.Time.Compare(b.Time) }

func checkProvider(provider *v1alpha1.IdentityProvider, elders []*v1alpha1.IdentityProvider) (string, error) {
	oidc := provider.Spec.OIDC
	if provider.Spec.Type != v1alpha1.IdentityProviderOIDC || oidc == nil {
		return v1alpha1.ReasonInvalid, fmt.Errorf("type %q with its settings is needed; this manager knows OIDC", provider.Spec.Type)
	}
	if !strings.HasPrefix(oidc.Issuer.URL, "https://") {
		return v1alpha1.ReasonInvalid, fmt.Errorf("spec.oidc.issuer.url must begin with https://: %q", oidc.Issuer.URL)
	}
	if pem := oidc.Issuer.CertificateAuthority; pem != "" {
		if err := checkPEM(pem); err != nil {
			return v1alpha1.ReasonInvalidCertificateAuthority, fmt.Errorf("spec.oidc.issuer.certificateAuthority: %w", err)
		}
	}
	for _, elder := range elders {
		if elder.Spec.OIDC.Issuer.URL == oidc.Issuer.URL && common(elder.Spec.OIDC.Issuer.Audiences, oidc.Issuer.Audiences) {
			return v1alpha1.ReasonDuplicateIssuer, fmt.Errorf(
				"IdentityProvider %q accepts tokens of %s for the same audience: remove the audience from one of the two", elder.Name, oidc.Issuer.URL)
		}
		if a, b := elder.Spec.KubernetesUsername, provider.Spec.KubernetesUsername; a != nil && b != nil && overlap(a.Prefix, b.Prefix) {
			return v1alpha1.ReasonUsernameOverlap, fmt.Errorf(
				"prefix %q and prefix %q of IdentityProvider %q could make one Kubernetes user name of two callers: "+
					"choose prefixes of which none begins with the other, as the API server is configured", b.Prefix, a.Prefix, elder.Name)
		}
	}
	return "", nil
}

// overlap says whether two prefixes can make the same name of different values.
func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func checkPEM(text string) error {
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		return errors.New("holds no PEM certificate that can be parsed")
	}
	return nil
}

func compileProvider(provider *v1alpha1.IdentityProvider) snapshot.IdentityProvider {
	oidc := provider.Spec.OIDC
	out := &snapshot.OIDC{
		IssuerURL:            oidc.Issuer.URL,
		Audiences:            oidc.Issuer.Audiences,
		CertificateAuthority: oidc.Issuer.CertificateAuthority,
		Username:             snapshot.ClaimMapping{Claim: oidc.ClaimMappings.Username.Claim, Prefix: oidc.ClaimMappings.Username.Prefix},
		ClockSkewSeconds:     oidc.ClockSkewSeconds,
	}
	for _, algorithm := range oidc.SigningAlgorithms {
		out.Algorithms = append(out.Algorithms, string(algorithm))
	}
	if groups := oidc.ClaimMappings.Groups; groups != nil {
		out.Groups = &snapshot.ClaimMapping{Claim: groups.Claim, Prefix: groups.Prefix}
	}
	if kind := oidc.ClaimMappings.Kind; kind != nil {
		out.KindClaim = kind.Claim
	}
	for _, rule := range oidc.ClaimValidationRules {
		out.RequiredClaims = append(out.RequiredClaims, snapshot.RequiredClaim{Claim: rule.Claim, Value: rule.RequiredValue})
	}
	compiled := snapshot.IdentityProvider{Name: provider.Name, Type: string(provider.Spec.Type), OIDC: out}
	if mapping := provider.Spec.KubernetesUsername; mapping != nil {
		compiled.KubernetesUsernamePrefix = &mapping.Prefix
	}
	return compiled
}
