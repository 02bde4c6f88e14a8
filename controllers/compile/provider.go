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
	"github.com/doorward/doorward/proxy/identity/saml"
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
	if reason, err := checkSettings(&provider.Spec); err != nil {
		return reason, err
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

// checkSettings is about who makes the proofs.
func checkSettings(spec *v1alpha1.IdentityProviderSpec) (string, error) {
	if spec.Type == v1alpha1.IdentityProviderSAML && spec.SAML != nil {
		if _, err := saml.ParseMetadata([]byte(spec.SAML.Metadata), spec.SAML.EntityID); err != nil {
			return v1alpha1.ReasonInvalid, fmt.Errorf("spec.saml.metadata: %w", err)
		}
		if spec.Login == nil {
			return v1alpha1.ReasonInvalid, errors.New("spec.login is needed: nobody can show an assertion to a proxy")
		}
		return "", nil
	}
	issuer := spec.Issuer()
	if issuer == nil {
		return v1alpha1.ReasonInvalid, fmt.Errorf("type %q with its settings is needed; this manager knows OIDC, Kubernetes and SAML", spec.Type)
	}
	if k := spec.Kubernetes; spec.Login != nil && k != nil && k.Verification == v1alpha1.TokenVerificationTokenReview {
		return v1alpha1.ReasonInvalid, errors.New("spec.login is not for verification TokenReview, since nobody can vouch for what the API server " +
			"has to be asked about each time: set spec.kubernetes.verification to IssuerKeys, or remove spec.login")
	}
	settings := "spec." + strings.ToLower(string(spec.Type))
	if !strings.HasPrefix(issuer.URL, "https://") {
		return v1alpha1.ReasonInvalid, fmt.Errorf("%s.issuer.url must begin with https://: %q", settings, issuer.URL)
	}
	if pem := issuer.CertificateAuthority; pem != "" {
		if err := checkPEM(pem); err != nil {
			return v1alpha1.ReasonInvalidCertificateAuthority, fmt.Errorf("%s.issuer.certificateAuthority: %w", settings, err)
		}
	}
	return "", nil
}

// proofs are those that a provider takes: by whom they are made, and for whom.
func proofs(provider *v1alpha1.IdentityProvider) (issuer string, audiences []string) {
	if provider.Spec.SAML != nil {
		return provider.Spec.SAML.EntityID, []string{provider.SAMLEntityID()}
	}
	made := provider.Spec.Issuer()
	return made.URL, made.Audiences
}

// contradicts says why a provider cannot be beside an elder one, or nil.
func contradicts(provider, elder *v1alpha1.IdentityProvider) (string, error) {
	issuer, audiences := proofs(provider)
	other, others := proofs(elder)
	if other == issuer && common(others, audiences) {
		return v1alpha1.ReasonDuplicateIssuer, fmt.Errorf(
			"IdentityProvider %q accepts tokens of %s for the same audience: remove the audience from one of the two", elder.Name, issuer)
	}
	if provider.Spec.SAML != nil && elder.Spec.SAML != nil && other == issuer {
		return v1alpha1.ReasonDuplicateIssuer, fmt.Errorf(
			"IdentityProvider %q is for the same SAML identity provider, %q: use that, or another entityID", elder.Name, issuer)
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
	if from := provider.Spec.SAML; from != nil {
		compiled.SAML = &snapshot.SAML{
			EntityID: from.EntityID, Audience: provider.SAMLEntityID(),
			Mapped: compileMapped(&from.ClaimMappings, from.ClaimValidationRules, from.UserValidationRules, from.ClockSkewSeconds),
		}
	}
	return compiled
}

func compileOIDC(oidc *v1alpha1.OIDCProvider) *snapshot.OIDC {
	out := &snapshot.OIDC{
		IssuerURL: oidc.Issuer.URL, DiscoveryURL: oidc.Issuer.DiscoveryURL, Audiences: oidc.Issuer.Audiences,
		CertificateAuthority: oidc.Issuer.CertificateAuthority,
		Mapped:               compileMapped(&oidc.ClaimMappings, oidc.ClaimValidationRules, oidc.UserValidationRules, oidc.ClockSkewSeconds),
	}
	for _, algorithm := range oidc.SigningAlgorithms {
		out.Algorithms = append(out.Algorithms, string(algorithm))
	}
	return out
}

func compileMapped(mappings *v1alpha1.ClaimMappings, claimRules []v1alpha1.ClaimValidationRule, userRules []v1alpha1.UserValidationRule, skew int32) snapshot.Mapped {
	out := snapshot.Mapped{
		Username: *prefixed(&mappings.Username), Groups: prefixed(mappings.Groups),
		UID: plain(mappings.UID), Kind: plain(mappings.Kind), ClockSkewSeconds: skew,
	}
	for _, extra := range mappings.Extra {
		out.Extra = append(out.Extra, snapshot.ExtraMapping{Key: extra.Key, Expression: extra.ValueExpression})
	}
	for i, rule := range claimRules {
		if rule.Expression != "" {
			out.ClaimRules = append(out.ClaimRules, snapshot.Rule{Index: i, Expression: rule.Expression, Message: rule.Message})
			continue
		}
		out.RequiredClaims = append(out.RequiredClaims, snapshot.RequiredClaim{Claim: rule.Claim, Value: rule.RequiredValue})
	}
	for i, rule := range userRules {
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
