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
	verifiers "github.com/doorward/doorward/proxy/identity/provider"
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
	issuer := provider.Spec.Issuer()
	if issuer == nil {
		return v1alpha1.ReasonInvalid, fmt.Errorf("type %q with its settings is needed; this manager knows OIDC and Kubernetes", provider.Spec.Type)
	}
	settings := "spec." + strings.ToLower(string(provider.Spec.Type))
	if !strings.HasPrefix(issuer.URL, "https://") {
		return v1alpha1.ReasonInvalid, fmt.Errorf("%s.issuer.url must begin with https://: %q", settings, issuer.URL)
	}
	if pem := issuer.CertificateAuthority; pem != "" {
		if err := checkPEM(pem); err != nil {
			return v1alpha1.ReasonInvalidCertificateAuthority, fmt.Errorf("%s.issuer.certificateAuthority: %w", settings, err)
		}
	}
	compiled := compileProvider(provider)
	if err := verifiers.Check(&compiled); err != nil {
		return v1alpha1.ReasonInvalid, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	for _, elder := range elders {
		if reason, err := contradicts(provider, elder); err != nil {
			return reason, err
		}
	}
	return "", nil
}

// contradicts says why a provider cannot be beside an elder one, or nil.
func contradicts(provider, elder *v1alpha1.IdentityProvider) (string, error) {
	issuer, other := provider.Spec.Issuer(), elder.Spec.Issuer()
	if other.URL == issuer.URL && common(other.Audiences, issuer.Audiences) {
		return v1alpha1.ReasonDuplicateIssuer, fmt.Errorf(
			"IdentityProvider %q accepts tokens of %s for the same audience: remove the audience from one of the two", elder.Name, issuer.URL)
	}
	if a, b := elder.Spec.KubernetesUsername, provider.Spec.KubernetesUsername; a != nil && b != nil && overlap(a.Prefix, b.Prefix) {
		return v1alpha1.ReasonUsernameOverlap, fmt.Errorf(
			"prefix %q and prefix %q of IdentityProvider %q could make one Kubernetes user name of two callers: "+
				"choose prefixes of which none begins with the other, as the API server is configured", b.Prefix, a.Prefix, elder.Name)
	}
	if a, b := elder.Spec.Kubernetes, provider.Spec.Kubernetes; a != nil && b != nil && overlap(text(a.Prefix), text(b.Prefix)) {
		return v1alpha1.ReasonUsernameOverlap, fmt.Errorf(
			"spec.kubernetes.prefix %q and that of IdentityProvider %q, %q, could make one user name of two ServiceAccounts: "+
				"choose prefixes of which none begins with the other", text(b.Prefix), elder.Name, text(a.Prefix))
	}
	return "", nil
}

// text is what is written; empty where nothing is.
func text(written *string) string {
	if written == nil {
		return ""
	}
	return *written
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
	compiled := snapshot.IdentityProvider{Name: provider.Name, Type: string(provider.Spec.Type), Login: provider.Spec.Login != nil}
	if mapping := provider.Spec.KubernetesUsername; mapping != nil {
		compiled.KubernetesUsernamePrefix, compiled.KubernetesUsernameExpression = &mapping.Prefix, mapping.Expression
	}
	if cluster := provider.Spec.Kubernetes; cluster != nil {
		compiled.Kubernetes = &snapshot.Kubernetes{
			IssuerURL: cluster.Issuer.URL, DiscoveryURL: cluster.Issuer.DiscoveryURL, Audiences: cluster.Issuer.Audiences,
			CertificateAuthority: cluster.Issuer.CertificateAuthority, Verification: string(cluster.Verification), Prefix: text(cluster.Prefix),
		}
	}
	if oidc := provider.Spec.OIDC; oidc != nil {
		compiled.OIDC = compileOIDC(oidc)
	}
	return compiled
}

func compileOIDC(oidc *v1alpha1.OIDCProvider) *snapshot.OIDC {
	mappings := &oidc.ClaimMappings
	out := &snapshot.OIDC{
		IssuerURL: oidc.Issuer.URL, DiscoveryURL: oidc.Issuer.DiscoveryURL, Audiences: oidc.Issuer.Audiences,
		CertificateAuthority: oidc.Issuer.CertificateAuthority,
		Username:             *prefixed(&mappings.Username), Groups: prefixed(mappings.Groups),
		UID: plain(mappings.UID), Kind: plain(mappings.Kind),
		ClockSkewSeconds: oidc.ClockSkewSeconds,
	}
	for _, algorithm := range oidc.SigningAlgorithms {
		out.Algorithms = append(out.Algorithms, string(algorithm))
	}
	for _, extra := range mappings.Extra {
		out.Extra = append(out.Extra, snapshot.ExtraMapping{Key: extra.Key, Expression: extra.ValueExpression})
	}
	for i, rule := range oidc.ClaimValidationRules {
		if rule.Expression != "" {
			out.ClaimRules = append(out.ClaimRules, snapshot.Rule{Index: i, Expression: rule.Expression, Message: rule.Message})
			continue
		}
		out.RequiredClaims = append(out.RequiredClaims, snapshot.RequiredClaim{Claim: rule.Claim, Value: rule.RequiredValue})
	}
	for i, rule := range oidc.UserValidationRules {
		out.UserRules = append(out.UserRules, snapshot.Rule{Index: i, Expression: rule.Expression, Message: rule.Message})
	}
	return out
}

func prefixed(m *v1alpha1.PrefixedClaimMapping) *snapshot.ClaimMapping {
	if m == nil {
		return nil
	}
	return &snapshot.ClaimMapping{Claim: m.Claim, Prefix: text(m.Prefix), Expression: m.Expression}
}

func plain(m *v1alpha1.ClaimMapping) *snapshot.ClaimMapping {
	if m == nil {
		return nil
	}
	return &snapshot.ClaimMapping{Claim: m.Claim, Expression: m.Expression}
}
