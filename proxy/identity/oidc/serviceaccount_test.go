// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

// reviewer is an API server that answers as a test says.
type reviewer func(token string) (*authenticationv1.TokenReviewStatus, error)

func (r reviewer) ReviewToken(_ context.Context, token string, _ []string) (*authenticationv1.TokenReviewStatus, error) {
	return r(token)
}

// web are the claims of a ServiceAccount's token, as a kubelet of Kubernetes 1.36 asks
// for them.
func web(changes ...any) map[string]any {
	claims := map[string]any{
		"sub": "system:serviceaccount:shop:web", "aud": []string{"doorward"}, "jti": "0b4a5b9e-7f0f-4a57-9d0c-5f4ed3b1d3f5",
		"kubernetes.io": map[string]any{
			"namespace":      "shop",
			"serviceaccount": map[string]any{"name": "web", "uid": "uid-sa"},
			"pod":            map[string]any{"name": "web-7d4b9-x2x5k", "uid": "uid-pod"},
			"node":           map[string]any{"name": "node-1", "uid": "uid-node"},
			"warnafter":      1893456000,
		},
	}
	for i := 0; i < len(changes); i += 2 {
		claims[changes[i].(string)] = changes[i+1]
	}
	return claims
}

func accountsOf(server *oidctest.Server) Config {
	config := configOf(server)
	config.UsernameClaim, config.GroupsClaim = "", ""
	config.Audiences = []string{"doorward"}
	config.ServiceAccounts = &ServiceAccounts{}
	return config
}

func claim(name, value string) identity.Claim {
	return identity.Claim{Name: name, Values: []string{value}}
}

// TestServiceAccount: a projected token says which ServiceAccount, pod and node it is of.
func TestServiceAccount(t *testing.T) {
	server := startIssuer(t)
	account := func(prefix string) identity.Principal {
		return identity.Principal{
			Provider: "corp", Issuer: server.URL(), Subject: "system:serviceaccount:shop:web", UserName: prefix + "system:serviceaccount:shop:web",
			Groups: []string{prefix + "system:serviceaccounts", prefix + "system:serviceaccounts:shop"}, Kind: identity.Workload, Method: MethodKubernetes,
		}
	}
	whole := account("")
	whole.Claims = []identity.Claim{
		claim(ClaimCredentialID, "JTI=0b4a5b9e-7f0f-4a57-9d0c-5f4ed3b1d3f5"), claim(ClaimNodeName, "node-1"), claim(ClaimNodeUID, "uid-node"),
		claim(ClaimPodName, "web-7d4b9-x2x5k"), claim(ClaimPodUID, "uid-pod"),
	}
	whole.BoundTo = "uid-pod"
	unbound := account("edge:")
	unbound.AbsentClaims = ServiceAccountClaims()
	cases := map[string]struct {
		reason string
		prefix string
		claims map[string]any
		want   identity.Principal
		says   string
	}{
		"Bound": {reason: "pod and node are kept", claims: web(), want: whole},
		"Unbound": {
			reason: "of a token that is bound to no pod, what is not known is said; the prefix is of all names", prefix: "edge:",
			claims: web("jti", nil, "kubernetes.io", map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "web", "uid": "u"}}), want: unbound,
		},
		"OtherAccount": {reason: "subject and claim are of one account", claims: web("sub", "system:serviceaccount:kube-system:admin"), says: "not of one ServiceAccount"},
		"NoAccount":    {reason: "the issuer's other tokens are not of a ServiceAccount", claims: alice(), says: "of no ServiceAccount"},
		"NotItsForm":   {reason: "nor is one whose claim has another form", claims: web("kubernetes.io", "shop"), says: "of no ServiceAccount"},
		"Colon":        {reason: "a name with a colon in it is another's", claims: web("sub", "system:serviceaccount:shop:web:x"), says: "not of one ServiceAccount"},
		"Audience":     {reason: "checklist 29: a token for the API server is none for us", claims: web("aud", []string{"https://kubernetes.default.svc"}), says: "another audience"},
		"TwoAudiences": {reason: "checklist 29: who else it is for could use it here", claims: web("aud", []string{"doorward", "vault"}), says: "several audiences"},
		"PodControl": {
			reason: "checklist 48: what is on record prints",
			claims: web("kubernetes.io", map[string]any{
				"namespace": "shop", "serviceaccount": map[string]any{"name": "web"}, "pod": map[string]any{"name": "a\nb"},
			}), says: "does not print",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := accountsOf(server)
			config.ServiceAccounts.Prefix = tc.prefix
			v, _ := verifierOf(t, config)
			got, err := verify(t, v, tokenOf(t, server, tc.claims))
			if tc.says != "" {
				if !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s: got %+v, %v, want a rejection with %q", tc.reason, got, err, tc.says)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(identity.Principal{}, "ExpiresAt", "ProofID")); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

// TestTokenReview: the API server's word is asked for, and is only believed where it is
// about this token, for us.
func TestTokenReview(t *testing.T) {
	server := startIssuer(t)
	status := func(change func(*authenticationv1.TokenReviewStatus)) reviewer {
		return func(string) (*authenticationv1.TokenReviewStatus, error) {
			s := &authenticationv1.TokenReviewStatus{
				Authenticated: true, Audiences: []string{"doorward"}, User: authenticationv1.UserInfo{Username: "system:serviceaccount:shop:web"},
			}
			change(s)
			return s, nil
		}
	}
	var none reviewer = func(string) (*authenticationv1.TokenReviewStatus, error) {
		t.Error("the API server was asked about a token that is refused anyway")
		return nil, errors.New("asked")
	}
	cases := map[string]struct {
		reason   string
		review   reviewer
		claims   map[string]any
		says     string
		rejected bool
	}{
		"Good":     {reason: "the API server knows the token", review: status(func(*authenticationv1.TokenReviewStatus) {})},
		"Gone":     {reason: "the pod is gone", review: status(func(s *authenticationv1.TokenReviewStatus) { s.Authenticated, s.Error = false, "pod has been deleted" }), says: "refuses the token", rejected: true},
		"Other":    {reason: "another's token", review: status(func(s *authenticationv1.TokenReviewStatus) { s.User.Username = "system:admin" }), says: "another user", rejected: true},
		"NoOurs":   {reason: "checklist 29: an authenticator that knows no audiences confirms none", review: status(func(s *authenticationv1.TokenReviewStatus) { s.Audiences = nil }), says: "audience", rejected: true},
		"Doubtful": {reason: "an answer with an error is none", review: status(func(s *authenticationv1.TokenReviewStatus) { s.Error = "webhook timed out" }), says: "does not review it"},
		"Away": {
			reason: "no answer is no fault of the caller",
			review: func(string) (*authenticationv1.TokenReviewStatus, error) {
				return nil, errors.New("connection refused")
			}, says: "connection refused",
		},
		"OtherIssuer":   {reason: "a token of another issuer is not shown to it", review: none, claims: web("iss", "https://other.example"), says: "another issuer", rejected: true},
		"OtherAudience": {reason: "nor is one for somebody else", review: none, claims: web("aud", "vault"), says: "another audience", rejected: true},
		"Expired":       {reason: "what the token says holds too", review: status(func(*authenticationv1.TokenReviewStatus) {}), claims: web("exp", 1_000_000), says: "expired", rejected: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := accountsOf(server)
			config.Review = tc.review
			v, _ := verifierOf(t, config)
			claims := tc.claims
			if claims == nil {
				claims = web()
			}
			got, err := verify(t, v, tokenOf(t, server, claims))
			if tc.says == "" {
				if err != nil || got.UserName != "system:serviceaccount:shop:web" {
					t.Errorf("%s: got %+v, %v", tc.reason, got, err)
				}
				return
			}
			if err != nil && (strings.Contains(err.Error(), "deleted") || strings.Contains(err.Error(), "webhook")) {
				t.Errorf("checklist 49: the caller is told what authenticators say: %v", err)
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || errors.Is(err, identity.ErrRejected) != tc.rejected {
				t.Errorf("%s: got %+v, %v, want %q, a rejection: %v", tc.reason, got, err, tc.says, tc.rejected)
			}
		})
	}
	if n := server.Requests(oidctest.KeysPath); n != 0 {
		t.Errorf("%d requests for keys, want none: the API server has them", n)
	}
}

// TestReviewIsSwitched: a provider that is changed from the issuer's keys to reviews, or
// back, is verified the new way at once, though nothing else of it changed.
func TestReviewIsSwitched(t *testing.T) {
	server := startIssuer(t)
	pool := NewPool(t.Context())
	defer pool.Close()
	var gone reviewer = func(string) (*authenticationv1.TokenReviewStatus, error) {
		return &authenticationv1.TokenReviewStatus{Error: "pod has been deleted"}, nil
	}
	token := tokenOf(t, server, web())
	for _, reviewed := range []bool{false, true, false} {
		config := accountsOf(server)
		if reviewed {
			config.Review = gone
		}
		chain, err := pool.Chain([]Config{config})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, chain, token); errors.Is(err, identity.ErrRejected) != reviewed {
			t.Errorf("reviewed %t: got %v", reviewed, err)
		}
	}
}
