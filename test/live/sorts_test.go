// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// holdsPolicy says that a snapshot has a policy as of a generation, or a later one.
func holdsPolicy(uid types.UID, generation int64) func(*snapshot.Snapshot) bool {
	return func(s *snapshot.Snapshot) bool {
		return slices.ContainsFunc(s.Policies.Policies, func(p policy.Policy) bool { return p.UID == string(uid) && p.Generation >= generation })
	}
}

func lacksPolicy(uid types.UID) func(*snapshot.Snapshot) bool {
	has := holdsPolicy(uid, 0)
	return func(s *snapshot.Snapshot) bool { return !has(s) }
}

// creating creates an object anew each time.
func creating(object client.Object, holds func() func(*snapshot.Snapshot) bool) change {
	return func(t *testing.T) (time.Time, func(*snapshot.Snapshot) bool) {
		t.Helper()
		object.SetResourceVersion("")
		object.SetUID("")
		stacktest.Must(t, world.Admin.Create(t.Context(), object))
		return time.Now(), holds()
	}
}

func deleting(object client.Object, holds func() func(*snapshot.Snapshot) bool) change {
	return func(t *testing.T) (time.Time, func(*snapshot.Snapshot) bool) {
		t.Helper()
		gone := holds()
		stacktest.Must(t, world.Admin.Delete(t.Context(), object))
		return time.Now(), gone
	}
}

// editing takes a rule out of a policy and puts it back.
func editing(p *v1alpha1.AccessPolicy, what string) sort {
	edit := func(rules ...v1alpha1.Rule) change {
		return func(t *testing.T) (time.Time, func(*snapshot.Snapshot) bool) {
			t.Helper()
			accepted := stacktest.Change(t, world, p, func(p *v1alpha1.AccessPolicy) { p.Spec.Rules = rules })
			return accepted, holdsPolicy(p.UID, p.Generation)
		}
	}
	return sort{
		taken: "AccessPolicy " + what + ": a rule goes", take: edit(talk),
		given: "AccessPolicy " + what + ": a rule comes", give: edit(talk, readOrders),
	}
}

// everywhereFor is an AccessPolicy of all Connections.
func everywhereFor(name string, who []v1alpha1.Subject) *v1alpha1.AccessPolicy {
	p := stack.Policy(name, who, talk, readOrders)
	p.Spec.Connections = everywhere
	return p
}

func edited(t *testing.T, s *scene, proxies []*stack.Proxy) {
	t.Helper()
	p := everywhereFor("live", stack.Users(s.user))
	stacktest.Create(t, world, p)
	s.atWork(t, issuer.Request{User: s.user}, proxies...)
	s.measure(t, editing(p, "edited"))
}

func deleted(t *testing.T, s *scene, proxies []*stack.Proxy) {
	t.Helper()
	p := everywhereFor("live", stack.Users(s.user))
	mark := time.Now()
	stacktest.Create(t, world, p)
	s.atWork(t, issuer.Request{User: s.user}, proxies...)
	// Where a Connection never had the policy, its deletion is nothing to publish.
	s.fleet.await(t, mark, holdsPolicy(p.UID, p.Generation))
	s.measure(t, sort{
		taken: "AccessPolicy deleted", take: deleting(p, func() func(*snapshot.Snapshot) bool { return lacksPolicy(p.UID) }),
		given: "AccessPolicy created", give: creating(p, func() func(*snapshot.Snapshot) bool { return holdsPolicy(p.UID, p.Generation) }),
	})
}

// above is a ClusterAccessPolicy that refuses one table.
func (s *scene) above(table string, namespaces v1alpha1.NamespaceSelector) *v1alpha1.ClusterAccessPolicy {
	return &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "live"},
		Spec: v1alpha1.ClusterAccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{}, Subjects: stack.Users(s.user),
			Namespaces: []v1alpha1.NamespaceSelector{namespaces}, Connections: everywhere,
			Rules: []v1alpha1.Rule{{Name: "closed", Effect: v1alpha1.EffectDeny, Actions: []string{"select"}, Resources: []string{table}}},
			Masks: []v1alpha1.Mask{}, Limits: []v1alpha1.Limit{},
		},
	}
}

func clusterEdited(t *testing.T, s *scene, proxies []*stack.Proxy) {
	t.Helper()
	p := s.above("public.payroll", v1alpha1.NamespaceSelector{Name: stack.Namespace})
	stacktest.Create(t, world, p)
	stacktest.Create(t, world, everywhereFor("live", stack.Users(s.user)))
	s.atWork(t, issuer.Request{User: s.user}, proxies...)
	edit := func(table string) change {
		return func(t *testing.T) (time.Time, func(*snapshot.Snapshot) bool) {
			t.Helper()
			accepted := stacktest.Change(t, world, p, func(p *v1alpha1.ClusterAccessPolicy) { p.Spec.Rules[0].Resources = []string{table} })
			return accepted, holdsPolicy(p.UID, p.Generation)
		}
	}
	s.measure(t, sort{
		taken: "ClusterAccessPolicy edited: it denies", take: edit("public.orders"),
		given: "ClusterAccessPolicy edited: it denies no more", give: edit("public.payroll"),
	})
}

// label is what the namespace gets.
const label = "shop.example/live"

func labelled(t *testing.T, s *scene, proxies []*stack.Proxy) {
	t.Helper()
	p := s.above("public.orders", v1alpha1.NamespaceSelector{MatchLabels: map[string]string{label: "closed"}})
	stacktest.Create(t, world, p)
	stacktest.Create(t, world, everywhereFor("live", stack.Users(s.user)))
	s.atWork(t, issuer.Request{User: s.user}, proxies...)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stack.Namespace}}
	set := func(value string, holds func(*snapshot.Snapshot) bool) change {
		return func(t *testing.T) (time.Time, func(*snapshot.Snapshot) bool) {
			t.Helper()
			return stacktest.Change(t, world, namespace, func(n *corev1.Namespace) { metav1.SetMetaDataLabel(&n.ObjectMeta, label, value) }), holds
		}
	}
	s.measure(t, sort{
		taken: "namespace labelled: a ClusterAccessPolicy selects it", take: set("closed", holdsPolicy(p.UID, 0)),
		given: "namespace labelled otherwise", give: set("open", lacksPolicy(p.UID)),
	})
}

func provider(t *testing.T, s *scene, proxies []*stack.Proxy) {
	t.Helper()
	const name, audience = "partners", "doorward-partners"
	p := &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.IdentityProviderSpec{Type: v1alpha1.IdentityProviderOIDC, OIDC: &v1alpha1.OIDCProvider{
			Issuer:               v1alpha1.OIDCIssuer{URL: world.Issuer.URL, Audiences: []string{audience}, CertificateAuthority: string(world.Issuer.CAPEM)},
			ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "preferred_username", Prefix: new("partner:")}},
			ClaimValidationRules: []v1alpha1.ClaimValidationRule{},
			UserValidationRules:  []v1alpha1.UserValidationRule{},
		}},
	}
	mark := time.Now()
	stacktest.Create(t, world, p)
	stacktest.Create(t, world, everywhereFor("live", []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "partner:" + s.user, IdentityProvider: name}}))
	s.atWork(t, issuer.Request{User: s.user, Audience: audience}, proxies...)
	known := func(want bool) func() func(*snapshot.Snapshot) bool {
		return func() func(*snapshot.Snapshot) bool {
			return func(s *snapshot.Snapshot) bool {
				return want == slices.ContainsFunc(s.IdentityProviders, func(p snapshot.IdentityProvider) bool { return p.Name == name })
			}
		}
	}
	s.fleet.await(t, mark, known(true)())
	s.measure(t, sort{
		taken: "IdentityProvider deleted", take: deleting(p, known(false)),
		given: "IdentityProvider created", give: creating(p, known(true)),
	})
}
