// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"maps"
	"testing"
)

func TestIdentityProviderSchema(t *testing.T) {
	issuer := func(url string) edits { return edits{"spec.oidc.issuer.url": url} }
	tryCreate(t, "identityprovider.yaml", map[string]schemaCase{
		"Sample":        {reason: "the sample is valid"},
		"NoMapping":     {reason: "callers then obtain no approvals", changes: edits{"spec.kubernetesUsername": absent{}}},
		"NoRules":       {reason: "no further rules, in words", changes: edits{"spec.oidc.claimValidationRules": []any{}}},
		"Path":          {reason: "an issuer with a path", changes: issuer("https://login.example/realms/shop")},
		"Type":          {reason: "enum", changes: edits{"spec.type": "LDAP"}, want: "Unsupported value"},
		"NoOIDC":        {reason: "union", changes: edits{"spec.oidc": absent{}}, want: "oidc is required"},
		"HTTP":          {reason: "https only", changes: issuer("http://login.shop.example"), want: "must be an https URL"},
		"NotURL":        {reason: "a URL", changes: issuer("login.shop.example"), want: "must be an https URL"},
		"Query":         {reason: "no query", changes: issuer("https://login.example/?a=b"), want: "must not have a query"},
		"Fragment":      {reason: "no fragment", changes: issuer("https://login.example/#a"), want: "must not have a query"},
		"UserInfo":      {reason: "no user information", changes: issuer("https://a:b@login.example"), want: "must not have a query"},
		"LongURL":       {reason: "bounded", changes: issuer("https://" + longText(2048)), want: "url"},
		"NoAudience":    {reason: "a token for another service is no token for this one", changes: edits{"spec.oidc.issuer.audiences": []any{}}, want: "audiences"},
		"ManyAudiences": {reason: "bounded", changes: edits{"spec.oidc.issuer.audiences": names(17)}, want: "audiences"},
		"EmptyAudience": {reason: "not empty", changes: edits{"spec.oidc.issuer.audiences": []any{""}}, want: "audiences"},
		"NotPEM":        {reason: "certificates", changes: edits{"spec.oidc.issuer.certificateAuthority": "hello"}, want: "must be PEM certificates"},
		"PrivateKey": {
			reason: "no key in the API", changes: edits{"spec.oidc.issuer.certificateAuthority": "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"},
			want: "no private key",
		},
		"AlgorithmNone":     {reason: "checklist 28: an allow-list", changes: edits{"spec.oidc.signingAlgorithms": []any{"none"}}, want: "Unsupported value"},
		"AlgorithmHMAC":     {reason: "checklist 28: an allow-list", changes: edits{"spec.oidc.signingAlgorithms": []any{"HS256"}}, want: "Unsupported value"},
		"AlgorithmTwice":    {reason: "a set", changes: edits{"spec.oidc.signingAlgorithms": []any{"RS256", "RS256"}}, want: "Duplicate value"},
		"NoUsername":        {reason: "required", changes: edits{"spec.oidc.claimMappings.username": absent{}}, want: "username"},
		"UsernameNoPrefix":  {reason: "checklist 40: absent would be empty", changes: edits{"spec.oidc.claimMappings.username.prefix": absent{}}, want: "prefix"},
		"UsernamePrefix":    {reason: "bounded", changes: edits{"spec.oidc.claimMappings.username.prefix": longText(65)}, want: "prefix"},
		"GroupsNoPrefix":    {reason: "checklist 40: absent would be empty", changes: edits{"spec.oidc.claimMappings.groups.prefix": absent{}}, want: "prefix"},
		"KindNoClaim":       {reason: "required", changes: edits{"spec.oidc.claimMappings.kind": map[string]any{}}, want: "claim"},
		"RulesAbsent":       {reason: "checklist 40: absent would admit more", changes: edits{"spec.oidc.claimValidationRules": absent{}}, want: "claimValidationRules"},
		"RuleTwice":         {reason: "one value per claim", changes: edits{"spec.oidc.claimValidationRules": []any{map[string]any{"claim": "a", "requiredValue": "1"}, map[string]any{"claim": "a", "requiredValue": "2"}}}, want: "two rules must not be about one claim"},
		"RuleNoValue":       {reason: "required", changes: edits{"spec.oidc.claimValidationRules.0.requiredValue": absent{}}, want: "requiredValue"},
		"RuleBoth":          {reason: "one or the other", changes: edits{"spec.oidc.claimValidationRules.0.expression": "true"}, want: "exactly one of claim and expression"},
		"RuleMessage":       {reason: "a claim's rule says it itself", changes: edits{"spec.oidc.claimValidationRules.0.message": "no"}, want: "message is for an expression"},
		"RuleExpression":    {reason: "a rule by an expression", changes: edits{"spec.oidc.claimValidationRules": []any{map[string]any{"expression": "claims.tenant == 'shop'", "message": "only the shop"}}}},
		"RuleLong":          {reason: "bounded", changes: edits{"spec.oidc.claimValidationRules": []any{map[string]any{"expression": longText(2049)}}}, want: "expression"},
		"ManyRules":         {reason: "bounded", changes: edits{"spec.oidc.claimValidationRules": repeat(33, "claim", map[string]any{"requiredValue": "x"})}, want: "claimValidationRules"},
		"UserRulesAbsent":   {reason: "checklist 40: absent would admit more", changes: edits{"spec.oidc.userValidationRules": absent{}}, want: "userValidationRules"},
		"UserRulesNone":     {reason: "no further rules, in words", changes: edits{"spec.oidc.userValidationRules": []any{}}},
		"UserRuleControl":   {reason: "checklist 48: no control characters", changes: edits{"spec.oidc.userValidationRules.0.message": "a\x1b[2K"}, want: "message"},
		"UsernameByCEL":     {reason: "a name by an expression, without a prefix", changes: edits{"spec.oidc.claimMappings.username": map[string]any{"expression": "claims.sub"}}},
		"UsernameBoth":      {reason: "one or the other", changes: edits{"spec.oidc.claimMappings.username": map[string]any{"expression": "claims.sub", "claim": "sub", "prefix": ""}}, want: "exactly one of claim and expression"},
		"PrefixOfCEL":       {reason: "an expression has its prefix in it", changes: edits{"spec.oidc.claimMappings.username": map[string]any{"expression": "claims.sub", "prefix": ""}}, want: "forbidden with expression"},
		"UID":               {reason: "by a claim", changes: edits{"spec.oidc.claimMappings.uid": map[string]any{"claim": "oid"}}},
		"Extra":             {reason: "by an expression", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "shop.example/tenant", "valueExpression": "claims.tenant"}}}},
		"ExtraKey":          {reason: "a key has a domain", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "tenant", "valueExpression": "claims.tenant"}}}, want: "key"},
		"ExtraReserved":     {reason: "nobody calls a pod what Kubernetes does not", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "authentication.kubernetes.io/pod-name", "valueExpression": "claims.pod"}}}, want: "reserved"},
		"ExtraTwice":        {reason: "a key has one value", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "a.b/c", "valueExpression": "'x'"}, map[string]any{"key": "a.b/c", "valueExpression": "'y'"}}}, want: "Duplicate value"},
		"Discovery":         {reason: "a document elsewhere", changes: edits{"spec.oidc.issuer.discoveryURL": "https://mirror.example/openid-configuration"}},
		"DiscoveryHTTP":     {reason: "https only", changes: edits{"spec.oidc.issuer.discoveryURL": "http://mirror.example/openid-configuration"}, want: "must be an https URL"},
		"DiscoverySame":     {reason: "it says nothing", changes: edits{"spec.oidc.issuer.discoveryURL": "https://login.shop.example"}, want: "must be another address"},
		"KubernetesByCEL":   {reason: "the rest of the name by an expression", changes: edits{"spec.kubernetesUsername.expression": "claims.sub"}},
		"SkewHigh":          {reason: "at most 300 s", changes: edits{"spec.oidc.clockSkewSeconds": int64(301)}, want: "clockSkewSeconds"},
		"KubernetesSystem":  {reason: "reserved names", changes: edits{"spec.kubernetesUsername.prefix": "system:"}, want: "must not begin with 'system:'"},
		"KubernetesNoValue": {reason: "checklist 40: absent would be empty", changes: edits{"spec.kubernetesUsername": map[string]any{}}, want: "prefix"},
		"KubernetesEmpty":   {reason: "no prefix, in words", changes: edits{"spec.kubernetesUsername.prefix": ""}},
	})
}

// TestIdentityProviderKubernetesSchema: ServiceAccounts, and the samples of CI.
func TestIdentityProviderKubernetesSchema(t *testing.T) {
	for _, sample := range []string{"identityprovider_github.yaml", "identityprovider_gitlab.yaml"} {
		tryCreate(t, sample, map[string]schemaCase{"Sample": {reason: "the sample is valid"}})
	}
	keys := edits{"spec.kubernetes.verification": "IssuerKeys"}
	const authority = "-----BEGIN CERTIFICATE-----"
	tryCreate(t, "identityprovider_kubernetes.yaml", map[string]schemaCase{
		"Sample":       {reason: "the sample is valid"},
		"Keys":         {reason: "by the cluster's keys", changes: with(keys, "spec.kubernetes.issuer.certificateAuthority", authority)},
		"Authority":    {reason: "an API server is asked by the proxy's own way to it", changes: edits{"spec.kubernetes.issuer.certificateAuthority": authority}, want: "are for verification IssuerKeys"},
		"Discovery":    {reason: "nor is there a document", changes: edits{"spec.kubernetes.issuer.discoveryURL": "https://mirror.example/x"}, want: "are for verification IssuerKeys"},
		"NoWay":        {reason: "how tokens are verified is said in words", changes: edits{"spec.kubernetes.verification": absent{}}, want: "verification"},
		"OtherWay":     {reason: "enum", changes: edits{"spec.kubernetes.verification": "None"}, want: "Unsupported value"},
		"NoPrefix":     {reason: "checklist 40: absent would be empty", changes: edits{"spec.kubernetes.prefix": absent{}}, want: "prefix"},
		"Prefix":       {reason: "another cluster's names", changes: edits{"spec.kubernetes.prefix": "edge:"}},
		"SystemPrefix": {reason: "reserved names", changes: edits{"spec.kubernetes.prefix": "system:"}, want: "must not begin with 'system:'"},
		"NoAudience":   {reason: "checklist 29: a token for the API server is none for us", changes: edits{"spec.kubernetes.issuer.audiences": absent{}}, want: "audiences"},
		"OwnAudience":  {reason: "checklist 29: an API server takes its issuer for its own audience, so every pod's token would do", changes: edits{"spec.kubernetes.issuer.audiences": []any{"doorward", "https://kubernetes.default.svc.cluster.local"}}, want: "must not be that of an API server"},
		"Default":      {reason: "checklist 29: nor the name that clouds give it", changes: edits{"spec.kubernetes.issuer.url": "https://oidc.cloud.example/id/1", "spec.kubernetes.issuer.audiences": []any{"https://kubernetes.default.svc"}}, want: "must not be that of an API server"},
		"CloudIssuer":  {reason: "checklist 29: whatever the issuer is called", changes: edits{"spec.kubernetes.issuer.url": "https://oidc.cloud.example/id/1", "spec.kubernetes.issuer.audiences": []any{"https://oidc.cloud.example/id/1"}}, want: "must not be that of an API server"},
		"OwnName":      {reason: "an audience may be a URL", changes: edits{"spec.kubernetes.issuer.audiences": []any{"https://kubernetes.example/doorward"}}},
		"Mapped":       {reason: "a ServiceAccount obtains no approvals", changes: edits{"spec.kubernetesUsername": map[string]any{"prefix": ""}}, want: "kubernetesUsername is not for type Kubernetes"},
		"Missing":      {reason: "union", changes: edits{"spec.kubernetes": absent{}}, want: "kubernetes is required"},
		"Both":         {reason: "union", changes: edits{"spec.type": "OIDC"}, want: "kubernetes is required when type is Kubernetes, and forbidden otherwise"},
	})
}

// TestIdentityProviderSAMLSchema: what SAML needs, and what login may be.
func TestIdentityProviderSAMLSchema(t *testing.T) {
	login := func(more map[string]any) edits {
		settings := map[string]any{"lifetimeSeconds": int64(3600)}
		maps.Copy(settings, more)
		return edits{"spec.login": settings}
	}
	tryCreate(t, "identityprovider_saml.yaml", map[string]schemaCase{
		"Sample":          {reason: "the sample is valid"},
		"NoMetadata":      {reason: "required", changes: edits{"spec.saml.metadata": absent{}}, want: "metadata"},
		"LongMetadata":    {reason: "bounded", changes: edits{"spec.saml.metadata": longText(65537)}, want: "metadata"},
		"NoEntity":        {reason: "required", changes: edits{"spec.saml.entityID": absent{}}, want: "entityID"},
		"OwnEntity":       {reason: "for several clusters", changes: edits{"spec.saml.serviceProviderEntityID": "urn:shop:doorward"}},
		"OwnEntityNoURI":  {reason: "a URI", changes: edits{"spec.saml.serviceProviderEntityID": "doorward"}, want: "serviceProviderEntityID"},
		"OwnEntitySpaces": {reason: "a URI", changes: edits{"spec.saml.serviceProviderEntityID": "urn:a b"}, want: "serviceProviderEntityID"},
		"OwnEntityTheirs": {reason: "who is who?", changes: edits{"spec.saml.serviceProviderEntityID": "https://idp.shop.example/metadata"}, want: "they must differ"},
		"NoEncryption":    {reason: "said in words", changes: edits{"spec.saml.assertionEncryption": absent{}}, want: "assertionEncryption"},
		"OtherEncryption": {reason: "enum", changes: edits{"spec.saml.assertionEncryption": "None"}, want: "Unsupported value"},
		"Plain":           {reason: "protected by TLS alone", changes: edits{"spec.saml.assertionEncryption": "Optional"}},
		"NoUsername":      {reason: "required", changes: edits{"spec.saml.claimMappings.username": absent{}}, want: "username"},
		"Email":           {reason: "checklist 28: nobody says that it is verified", changes: edits{"spec.saml.claimMappings.username.claim": "email"}, want: "email_verified"},
		"RulesAbsent":     {reason: "checklist 40: absent would admit more", changes: edits{"spec.saml.claimValidationRules": absent{}}, want: "claimValidationRules"},
		"RuleTwice":       {reason: "one value per claim", changes: edits{"spec.saml.claimValidationRules": []any{map[string]any{"claim": "a", "requiredValue": "1"}, map[string]any{"claim": "a", "requiredValue": "2"}}}, want: "two rules must not be about one claim"},
		"UserRulesAbsent": {reason: "checklist 40: absent would admit more", changes: edits{"spec.saml.userValidationRules": absent{}}, want: "userValidationRules"},
		"SkewHigh":        {reason: "at most 300 s", changes: edits{"spec.saml.clockSkewSeconds": int64(301)}, want: "clockSkewSeconds"},
		"NoSAML":          {reason: "union", changes: edits{"spec.saml": absent{}}, want: "saml is required when type is SAML"},
		"OtherType":       {reason: "union", changes: edits{"spec.type": "OIDC"}, want: "forbidden otherwise"},
		"NoLogin":         {reason: "nobody can show an assertion to a proxy", changes: edits{"spec.login": absent{}}, want: "login is required when type is SAML"},
		"NoLifetime":      {reason: "required", changes: edits{"spec.login": map[string]any{}}, want: "lifetimeSeconds"},
		"ShortLifetime":   {reason: "a login is for a while", changes: login(map[string]any{"lifetimeSeconds": int64(299)}), want: "lifetimeSeconds"},
		"LongLifetime":    {reason: "and for no more than half a day", changes: login(map[string]any{"lifetimeSeconds": int64(43201)}), want: "lifetimeSeconds"},
		"ClientOfSAML":    {reason: "SAML has no clients", changes: login(map[string]any{"clientID": "doorward"}), want: "are for type OIDC"},
		"NotMapped":       {reason: "callers then obtain no approvals", changes: edits{"spec.kubernetesUsername": absent{}}},
	})
	tryCreate(t, "identityprovider.yaml", map[string]schemaCase{
		"Exchange":      {reason: "tokens can be exchanged", changes: login(nil)},
		"Client":        {reason: "the portal is one of the audiences", changes: login(map[string]any{"clientID": "doorward"})},
		"OtherClient":   {reason: "its tokens would be refused", changes: login(map[string]any{"clientID": "portal"}), want: "must be one of oidc.issuer.audiences"},
		"Secret":        {reason: "a client with a secret", changes: login(map[string]any{"clientID": "doorward", "clientSecretRef": map[string]any{"name": "portal"}, "scopes": []any{"groups"}})},
		"SecretAlone":   {reason: "of no client", changes: login(map[string]any{"clientSecretRef": map[string]any{"name": "portal"}}), want: "need a clientID"},
		"ScopesAlone":   {reason: "of no client", changes: login(map[string]any{"scopes": []any{"groups"}}), want: "need a clientID"},
		"ScopeSpaces":   {reason: "one scope each", changes: login(map[string]any{"clientID": "doorward", "scopes": []any{"a b"}}), want: "scopes"},
		"ScopeTwice":    {reason: "a set", changes: login(map[string]any{"clientID": "doorward", "scopes": []any{"a", "a"}}), want: "Duplicate value"},
		"ManyScopes":    {reason: "bounded", changes: login(map[string]any{"clientID": "doorward", "scopes": names(17)}), want: "scopes"},
		"SecretNoName":  {reason: "required", changes: login(map[string]any{"clientID": "doorward", "clientSecretRef": map[string]any{}}), want: "name"},
		"SAMLAlongside": {reason: "union", changes: edits{"spec.saml": map[string]any{}}, want: "saml"},
	})
	tryCreate(t, "identityprovider_kubernetes.yaml", map[string]schemaCase{
		"Login":  {reason: "a workload exchanges its token", changes: with(login(nil), "spec.kubernetes.verification", "IssuerKeys")},
		"Review": {reason: "nobody can vouch for what the API server is asked about each time", changes: login(nil), want: "set kubernetes.verification to IssuerKeys"},
		"Client": {reason: "a cluster has no clients", changes: login(map[string]any{"clientID": "doorward"}), want: "are for type OIDC"},
	})
}
