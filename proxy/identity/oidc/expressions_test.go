// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/identity"
)

// TestExpressions: what expressions make of a token, and whom they refuse. A refusal
// names the field of the IdentityProvider.
func TestExpressions(t *testing.T) {
	server := startIssuer(t)
	byExpression := func(c *Config) { c.UsernameClaim, c.UsernameExpression = "", "'corp:' + claims.preferred_username" }
	cases := map[string]struct {
		reason string
		config func(*Config)
		claims map[string]any
		want   identity.Principal
		says   string
	}{
		"Username": {
			reason: "a name that an expression makes",
			config: byExpression,
			claims: alice(),
			want:   identity.Principal{UserName: "corp:alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"UsernameFails": {
			reason: "an expression that fails refuses the caller",
			config: func(c *Config) { c.UsernameClaim, c.UsernameExpression = "", "claims.nickname" },
			claims: alice(),
			says:   "spec.oidc.claimMappings.username.expression: the expression fails for this token: no such key: nickname",
		},
		"UsernameEmpty": {
			reason: "a caller has a name",
			config: func(c *Config) { c.UsernameClaim, c.UsernameExpression = "", "claims.?nickname.orValue('')" },
			claims: alice(),
			says:   "name is empty",
		},
		"UsernameReserved": {
			reason: "names of Kubernetes' own are reserved, whatever makes them",
			config: func(c *Config) { c.UsernameClaim, c.UsernameExpression = "", "'system:' + claims.sub" },
			claims: alice(),
			says:   "reserved",
		},
		"TwoAts": {
			reason: "checklist 28: a@x@y",
			config: func(c *Config) { c.UsernameClaim, c.UsernameExpression = "", "claims.sub + '@x@y'" },
			claims: alice(),
			says:   "more than one",
		},
		"Kubernetes": {
			reason: "the Kubernetes name is made of what the user name is made of",
			config: func(c *Config) {
				c.UsernameClaim, c.UsernameExpression, c.KubernetesUsernamePrefix = "", "claims.preferred_username", new("oidc:")
			},
			claims: alice(),
			want:   identity.Principal{UserName: "alice", KubernetesUser: "oidc:alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"KubernetesOwn": {
			reason: "or of an expression of its own",
			config: func(c *Config) {
				c.KubernetesUsernamePrefix, c.KubernetesUsernameExpression = new("oidc:"), "claims.sub"
			},
			claims: alice(),
			want:   identity.Principal{UserName: "alice", KubernetesUser: "oidc:a-1", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"Groups": {
			reason: "groups that an expression makes",
			config: func(c *Config) {
				c.GroupsClaim, c.GroupsExpression = "", "dyn(claims.groups).map(g, 'corp/' + g) + ['everyone']"
			},
			claims: alice(),
			want:   identity.Principal{UserName: "alice", Groups: []string{"corp/analysts", "everyone"}, Kind: identity.Human},
		},
		"GroupsNumber": {
			reason: "a group that cannot be read refuses: it might be the one that a Deny is about",
			config: func(c *Config) { c.GroupsClaim, c.GroupsExpression = "", "claims.groups" },
			claims: alice("groups", []any{"a", 1}),
			says:   "spec.oidc.claimMappings.groups.expression",
		},
		"GroupsReserved": {
			reason: "system:masters is nobody's by an expression",
			config: func(c *Config) { c.GroupsClaim, c.GroupsExpression = "", "['system:masters']" },
			claims: alice(),
			says:   "reserved",
		},
		"Kind": {
			reason: "the kind of a provider of workloads",
			config: func(c *Config) { c.KindExpression = "'Workload'" },
			claims: alice(),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Workload},
		},
		"KindUnknown": {
			reason: "another kind is none",
			config: func(c *Config) { c.KindExpression = "'Robot'" },
			claims: alice(),
			says:   "spec.oidc.claimMappings.kind.expression",
		},
		"Extra": {
			reason: "extra is kept among the claims, and what is absent by its name",
			config: func(c *Config) {
				c.Extra = []Extra{{"example.com/tenant", "claims.tenant"}, {"example.com/none", "claims.?none.orValue('')"}}
				c.Claims = []string{"email"}
			},
			claims: alice("tenant", []string{"b", "a"}),
			want: identity.Principal{
				UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human,
				Claims: []identity.Claim{
					{Name: "email", Values: []string{"alice@example.com"}}, {Name: "example.com/tenant", Values: []string{"a", "b"}},
				},
				AbsentClaims: []string{"example.com/none"},
			},
		},
		"ExtraControl": {
			reason: "checklist 48: what is on record prints",
			config: func(c *Config) { c.Extra = []Extra{{"example.com/tenant", "claims.tenant"}} },
			claims: alice("tenant", "a\x1b[2K"),
			says:   "spec.oidc.claimMappings.extra[0].valueExpression",
		},
		"ClaimRule": {
			reason: "a rule that does not hold says its message",
			config: func(c *Config) {
				c.ClaimRules = []Rule{{Index: 3, Expression: "claims.tenant == 'shop'", Message: "only people of the shop"}}
			},
			claims: alice("tenant", "other"),
			says:   "spec.oidc.claimValidationRules[3].expression: only people of the shop",
		},
		"ClaimRuleHolds": {
			reason: "a rule that holds lets through",
			config: func(c *Config) { c.ClaimRules = []Rule{{Expression: "claims.tenant == 'shop'"}} },
			claims: alice("tenant", "shop"),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"ClaimRuleFails": {
			reason: "a rule that cannot be asked does not hold",
			config: func(c *Config) { c.ClaimRules = []Rule{{Expression: "claims.tenant == 'shop'"}} },
			claims: alice(),
			says:   "spec.oidc.claimValidationRules[0].expression: the expression fails",
		},
		"UserRule": {
			reason: "a rule about the caller sees what the mappings made",
			config: func(c *Config) {
				c.UIDClaim = "sub"
				c.Extra = []Extra{{"example.com/tenant", "claims.tenant"}}
				c.UserRules = []Rule{
					{Index: 0, Expression: "user.username == 'alice' && user.uid == 'a-1' && user.extra['example.com/tenant'] == ['shop']"},
					{Index: 1, Expression: "!('analysts' in user.groups)", Message: "no analysts"},
				}
			},
			claims: alice("tenant", "shop"),
			says:   "spec.oidc.userValidationRules[1].expression: no analysts",
		},
		"UIDMissing": {
			reason: "a uid that a rule may ask for is there",
			config: func(c *Config) { c.UIDClaim, c.UserRules = "oid", []Rule{{Expression: "user.uid != ''"}} },
			claims: alice(),
			says:   `claim is missing or no string: "oid"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(server)
			tc.config(&config)
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
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(identity.Principal{}, "Provider", "Issuer", "Subject", "Method", "ExpiresAt", "ProofID")); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

// TestCheck: all faults of expressions at once, by field and place.
func TestCheck(t *testing.T) {
	server := startIssuer(t)
	cases := map[string]struct {
		reason string
		config func(*Config)
		want   []string
	}{
		"Good": {reason: "nothing is wrong", config: func(*Config) {}},
		"Several": {
			reason: "each fault is named",
			config: func(c *Config) {
				c.UsernameClaim, c.UsernameExpression = "", "claims.sub +"
				c.ClaimRules = []Rule{{Index: 2, Expression: "claim.x == 1"}}
				c.UserRules = []Rule{{Index: 1, Expression: "user.groups"}}
			},
			want: []string{"spec.oidc.claimMappings.username.expression: compilation failed: at 1:", "claimValidationRules[2].expression: compilation failed: at 1:1:", "userValidationRules[1].expression: must evaluate to bool"},
		},
		"Both":     {reason: "a name has one source", config: func(c *Config) { c.UsernameExpression = "claims.sub" }, want: []string{"claim or an expression"}},
		"KeyTwice": {reason: "a key is of one value", config: func(c *Config) { c.Extra = []Extra{{"a.b/c", "'x'"}, {"a.b/c", "'y'"}} }, want: []string{"extra[1].key"}},
		"EmailUnverified": {
			reason: "checklist 28: email_verified, also where an expression reads the address",
			config: func(c *Config) { c.UsernameClaim, c.UsernameExpression = "", `claims["email"]` },
			want:   []string{"claims.email_verified is not"},
		},
		"EmailVerified": {
			reason: "a rule asks for it",
			config: func(c *Config) {
				c.UsernameClaim, c.UsernameExpression = "", "claims.email"
				c.ClaimRules = []Rule{{Expression: "claims.?email_verified.orValue(false) == true"}}
			},
		},
		"KubernetesEmail": {
			reason: "nor does the Kubernetes name take an address that nobody asked about",
			config: func(c *Config) {
				c.KubernetesUsernamePrefix, c.KubernetesUsernameExpression = new("x:"), "claims.?email.orValue(claims.sub)"
			},
			want: []string{"claims.email_verified is not"},
		},
		"ReviewOfPeople": {reason: "an API server reviews ServiceAccounts", config: func(c *Config) { c.Review = reviewer(nil) }, want: []string{"TokenReview is for ServiceAccounts"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(server)
			tc.config(&config)
			err := Check(config)
			if (err == nil) != (len(tc.want) == 0) {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, want %q", tc.reason, err, want)
				}
			}
		})
	}
}
