// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
)

// shopWorld is a Connection, a provider and one policy.
func shopWorld(p v1alpha1.AccessPolicy) World {
	p.Name, p.Namespace, p.UID = "p", "shop", "uid-p"
	if p.Spec.Connections == nil {
		p.Spec.Connections = []v1alpha1.ConnectionSelector{{Name: "*"}}
	}
	c := v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop", UID: "uid-db"},
		Spec: v1alpha1.ConnectionSpec{
			Protocol: "postgres", Targets: []v1alpha1.Target{{Host: "db", Port: 5432}},
			Options:    &runtime.RawExtension{Raw: []byte(`{"databases":["shop"]}`)},
			Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialFile, File: &v1alpha1.FileCredential{Path: "/credential"}},
		},
	}
	idp := v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "company"},
		Spec: v1alpha1.IdentityProviderSpec{Type: v1alpha1.IdentityProviderOIDC, OIDC: &v1alpha1.OIDCProvider{
			Issuer:        v1alpha1.OIDCIssuer{URL: "https://company.example", Audiences: []string{"doorward"}},
			ClaimMappings: v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "sub", Prefix: new("")}},
		}},
	}
	return World{
		Connections: []v1alpha1.Connection{c}, Policies: []v1alpha1.AccessPolicy{p}, Providers: []v1alpha1.IdentityProvider{idp},
		Namespaces: map[string]map[string]string{"shop": nil}, Protocols: testProtocols(),
	}
}

// TestNothingThatProxiesRefuse: whatever stands in a policy, as admission lets it through
// or as somebody stored it round admission, no snapshot is made that a proxy cannot take:
// it would go on with what it has, and a revocation in the same snapshot would be lost.
// checklist 40: nor is what is missing taken for more than what is there.
func TestNothingThatProxiesRefuse(t *testing.T) {
	t.Parallel()
	everyone := []v1alpha1.Subject{{Kind: v1alpha1.SubjectEveryone, IdentityProvider: "*"}}
	deny := []v1alpha1.Rule{{Name: "r", Effect: v1alpha1.EffectDeny, Actions: []string{"delete"}}}
	rule := func(r v1alpha1.Rule) v1alpha1.AccessPolicySpec {
		return v1alpha1.AccessPolicySpec{Subjects: everyone, Rules: []v1alpha1.Rule{r}}
	}
	of := func(subjects ...v1alpha1.Subject) v1alpha1.AccessPolicySpec {
		return v1alpha1.AccessPolicySpec{Subjects: subjects, Rules: deny}
	}
	when := func(c v1alpha1.PolicyCondition) v1alpha1.AccessPolicySpec {
		return v1alpha1.AccessPolicySpec{Subjects: everyone, Rules: deny, When: []v1alpha1.PolicyCondition{c}}
	}
	masking := func(m v1alpha1.Mask) v1alpha1.AccessPolicySpec {
		return v1alpha1.AccessPolicySpec{Subjects: everyone, Masks: []v1alpha1.Mask{m}}
	}
	redact := v1alpha1.MaskMethod{Type: v1alpha1.MaskRedact}
	monday := v1alpha1.TimeWindow{Days: []v1alpha1.Weekday{"Monday"}, Start: "08:00", End: "17:00"}
	schedule := func(zone string, windows ...v1alpha1.TimeWindow) v1alpha1.AccessPolicySpec {
		return when(v1alpha1.PolicyCondition{Schedule: &v1alpha1.Schedule{TimeZone: zone, Windows: windows}})
	}
	cases := map[string]struct {
		reason string
		spec   v1alpha1.AccessPolicySpec
		// says is a part of what the admin is told.
		says string
	}{
		"U+FFFD in a resource": {"RE2 takes it for any byte that is not UTF-8. Admission lets it through.", rule(v1alpha1.Rule{
			Name: "r", Effect: v1alpha1.EffectDeny, Actions: []string{"delete"}, Resources: []string{"public.\uFFFD*"},
		}), "U+FFFD"},
		"U+FFFD in a claim": {"The same.", of(v1alpha1.Subject{
			Kind: v1alpha1.SubjectClaim, IdentityProvider: "*", Claim: &v1alpha1.SubjectClaimValues{Name: "c", Values: []string{"\uFFFD"}},
		}), "U+FFFD"},
		"U+FFFD in a field":            {"The same.", masking(v1alpha1.Mask{Name: "m", Fields: []string{"public.t.\uFFFD"}, Method: redact}), "U+FFFD"},
		"a glob of a megabyte":         {"Stored without its bounds.", rule(v1alpha1.Rule{Name: "r", Effect: v1alpha1.EffectDeny, Actions: []string{"delete"}, Resources: []string{strings.Repeat("a*", 1<<19)}}), "bytes"},
		"no subjects":                  {"It would be about nobody.", of(), "no subjects"},
		"a user without a name":        {"It would be about nobody.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectUser, IdentityProvider: "*"}), "without a name"},
		"everyone with a name":         {"Somebody meant less than everyone.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectEveryone, Name: "alice", IdentityProvider: "*"}), "has no name"},
		"a claim without values":       {"It would be about nobody.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectClaim, IdentityProvider: "*"}), "without a name"},
		"all of nothing":               {"It would be everyone.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectAllOf, IdentityProvider: "*"}), "lacks them"},
		"all of, and a part's claim":   {"A part lacks what it is about.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectAllOf, IdentityProvider: "*", AllOf: []v1alpha1.SingleSubject{{Kind: v1alpha1.SubjectClaim}, {Kind: v1alpha1.SubjectHuman}}}), "without a name"},
		"everyone, and parts":          {"Somebody meant less than everyone.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectEveryone, IdentityProvider: "*", AllOf: []v1alpha1.SingleSubject{{Kind: v1alpha1.SubjectHuman}, {Kind: v1alpha1.SubjectAgent}}}), "lacks them"},
		"no provider":                  {"Absent is not any.", of(v1alpha1.Subject{Kind: v1alpha1.SubjectEveryone}), "identityProvider is needed"},
		"an Allow without resources":   {"Absent is not any.", rule(v1alpha1.Rule{Name: "r", Effect: v1alpha1.EffectAllow, Actions: []string{"select"}}), "names its resources"},
		"an unknown effect":            {"It is neither.", rule(v1alpha1.Rule{Name: "r", Effect: "Permit", Actions: []string{"select"}, Resources: []string{"*"}}), "unknown effect"},
		"no actions":                   {"It would match nothing.", rule(v1alpha1.Rule{Name: "r", Effect: v1alpha1.EffectDeny}), "no actions"},
		"no approvers":                 {"Nobody could approve.", rule(v1alpha1.Rule{Name: "r", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"delete"}}), "needs approvers"},
		"an approval of nobody":        {"Nobody need approve.", rule(v1alpha1.Rule{Name: "r", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"delete"}, Approval: &v1alpha1.ApprovalTerms{Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, TimeoutSeconds: 60}}), "a minimum"},
		"IPv4 as IPv6":                 {"No caller's address is ever one.", when(v1alpha1.PolicyCondition{SourceCIDRs: []string{"::ffff:10.0.0.0/104"}}), "CIDR"},
		"shared, and sources":          {"Somebody meant more than shared.", when(v1alpha1.PolicyCondition{Type: v1alpha1.PolicyConditionSharedCredential, SourceCIDRs: []string{"10.0.0.0/8"}}), "neither schedule nor sourceCIDRs"},
		"allowed if shared":            {"It would allow only those who share.", v1alpha1.AccessPolicySpec{Subjects: everyone, When: []v1alpha1.PolicyCondition{{Type: v1alpha1.PolicyConditionSharedCredential}}, Rules: []v1alpha1.Rule{{Name: "r", Effect: v1alpha1.EffectAllow, Actions: []string{"select"}, Resources: []string{"*"}}}}, "allow only those"},
		"a schedule without windows":   {"It never holds.", schedule("UTC"), "without windows"},
		"a window without days":        {"It never holds.", schedule("UTC", v1alpha1.TimeWindow{Start: "08:00", End: "17:00"}), "want days"},
		"a zone that is a path":        {"Nothing outside the database is read.", schedule("../../etc/localtime", monday), "time zone"},
		"a zone that is the machine's": {"Each machine would decide otherwise.", schedule("Local", monday), "time zone"},
		"KeepLast of nothing":          {"It would show all, or none.", masking(v1alpha1.Mask{Name: "m", Fields: []string{"public.t.c"}, Method: v1alpha1.MaskMethod{Type: v1alpha1.MaskKeepLast}}), "KeepLast"},
		"too many claims":              {"No proxy keeps so many. Admission lets them through.", of(manyClaims(identity.MaxClaims + 1)...), "at most 64"},
		"a typo with mode Audit":       {"Closed for those in force only; this one is left out.", v1alpha1.AccessPolicySpec{Mode: v1alpha1.PolicyModeAudit, Subjects: everyone, Rules: []v1alpha1.Rule{{Name: "r", Effect: v1alpha1.EffectDeny, Actions: []string{"delete"}, Resources: []string{"\uFFFD"}}}}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world := shopWorld(v1alpha1.AccessPolicy{Spec: tc.spec})
			result := Connection(&world.Connections[0], world)
			verdict := Policy(&world.Policies[0], world).Accepted
			said := verdict.Message + result.Accepted.Message
			if closes := ofPolicy(&world.Policies[0]).restricts(); closes == result.Accepted.OK() {
				t.Errorf("%s: the Connection is closed: %t, want %t", tc.reason, !closes, closes)
			}
			if verdict.OK() && result.Accepted.OK() || !strings.Contains(said, tc.says) {
				t.Errorf("%s: got %q, want it to say %q", tc.reason, said, tc.says)
			}
			if result.Snapshot == nil {
				return // closed
			}
			if _, err := rego.New(t.Context(), result.Snapshot.Policies, policy.About{}); err != nil {
				t.Errorf("%s: a snapshot was made that no proxy takes: %v", tc.reason, err)
			}
		})
	}
}

// manyClaims are subjects that look at so many claims.
func manyClaims(n int) []v1alpha1.Subject {
	subjects := make([]v1alpha1.Subject, n)
	for i := range subjects {
		subjects[i] = v1alpha1.Subject{
			Kind: v1alpha1.SubjectClaim, IdentityProvider: "*",
			Claim: &v1alpha1.SubjectClaimValues{Name: fmt.Sprintf("claim-%d", i), Values: []string{"*"}},
		}
	}
	return subjects
}
