// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/identity"
)

func TestPrincipal(t *testing.T) {
	server := startIssuer(t)
	cases := map[string]struct {
		reason string
		config func(*Config)
		claims map[string]any
		want   identity.Principal
	}{
		"Plain": {
			reason: "names come from the mapped claims, the kind is Human",
			claims: alice(),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"Prefixes": {
			reason: "prefixes keep providers apart",
			config: func(c *Config) { c.UsernamePrefix, c.GroupsPrefix = "corp:", "corp/" },
			claims: alice("groups", []string{"b", "a", "b"}),
			want:   identity.Principal{UserName: "corp:alice", Groups: []string{"corp/a", "corp/b"}, Kind: identity.Human},
		},
		"Kubernetes": {
			reason: "the Kubernetes name has its own prefix",
			config: func(c *Config) { prefix := "oidc:"; c.UsernamePrefix, c.KubernetesUsernamePrefix = "corp:", &prefix },
			claims: alice(),
			want:   identity.Principal{UserName: "corp:alice", KubernetesUser: "oidc:alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"KubernetesSameName": {
			reason: "an empty prefix maps, no prefix does not",
			config: func(c *Config) { prefix := ""; c.KubernetesUsernamePrefix = &prefix },
			claims: alice(),
			want:   identity.Principal{UserName: "alice", KubernetesUser: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"OneGroupAsString": {
			reason: "some issuers send a single group as a string",
			claims: alice("groups", "analysts"),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"NoGroups": {
			reason: "groups may be absent",
			claims: alice("groups", nil),
			want:   identity.Principal{UserName: "alice", Kind: identity.Human},
		},
		"GroupsNotMapped": {
			reason: "without a mapping no groups are read",
			config: func(c *Config) { c.GroupsClaim = "" },
			claims: alice(),
			want:   identity.Principal{UserName: "alice", Kind: identity.Human},
		},
		"Agent": {
			reason: "the kind claim tells agents apart",
			config: func(c *Config) { c.KindClaim = "actor_kind" },
			claims: alice("actor_kind", "Agent"),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Agent},
		},
		"Delegation": {
			reason: "the chain of actors is kept, outermost first",
			claims: alice("act", map[string]any{"sub": "agent", "iss": "https://agents.example.com", "act": map[string]any{"sub": "tool"}}),
			want: identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Agent, Delegation: []identity.Actor{
				{Issuer: "https://agents.example.com", Subject: "agent"}, {Subject: "tool"},
			}},
		},
		"DelegationKindMissing": {
			reason: "who acts for another is no person where the token does not say so",
			config: func(c *Config) { c.KindClaim = "actor_kind" },
			claims: alice("act", map[string]any{"sub": "agent"}, "actor_kind", nil),
			want: identity.Principal{
				UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Agent, Delegation: []identity.Actor{{Subject: "agent"}},
			},
		},
		"DelegationKind": {
			reason: "the issuer knows better",
			config: func(c *Config) { c.KindClaim = "actor_kind" },
			claims: alice("act", map[string]any{"sub": "runner"}, "actor_kind", "Workload"),
			want: identity.Principal{
				UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Workload, Delegation: []identity.Actor{{Subject: "runner"}},
			},
		},
		"Claims": {
			reason: "those that policies look at are kept, sorted, and nothing else of the token",
			config: func(c *Config) {
				c.Claims = []string{"teams", "amr", "level", "mfa", "ratio", "big", "none", "absent", "null", "empty", "teams"}
			},
			claims: alice("teams", []any{"support", "billing", "support", 7, true}, "amr", "pwd", "level", 3, "mfa", false, "ratio", 0.25,
				"big", 12345678901234567890.0, "none", []string{}, "null", nil, "empty", "", "secret", "canary"),
			want: identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human, Claims: []identity.Claim{
				{Name: "amr", Values: []string{"pwd"}},
				{Name: "big", Values: []string{"12345678901234567000"}},
				{Name: "empty", Values: []string{""}},
				{Name: "level", Values: []string{"3"}},
				{Name: "mfa", Values: []string{"false"}},
				{Name: "none"},
				{Name: "ratio", Values: []string{"0.25"}},
				{Name: "teams", Values: []string{"7", "billing", "support", "true"}},
			}, AbsentClaims: []string{"absent", "null"}},
		},
		"ClaimCase": {
			reason: "claim names have a case",
			config: func(c *Config) { c.Claims = []string{"Team"} },
			claims: alice("team", "a"),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human, AbsentClaims: []string{"Team"}},
		},
		"VerifiedEmail": {
			reason: "a verified address is a user name",
			config: func(c *Config) { c.UsernameClaim = "email" },
			claims: alice(),
			want:   identity.Principal{UserName: "alice@example.com", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"SecondAudience": {
			reason: "any of our audiences will do",
			claims: alice("aud", []string{"doorward-cli"}),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"SharedAudience": {
			reason: "a token for others too must have been issued to us",
			claims: alice("aud", []string{"account", "doorward"}, "azp", "doorward-cli"),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"RequiredClaim": {
			reason: "a required claim with its value is accepted",
			config: func(c *Config) { c.RequiredClaims = []RequiredClaim{{"hd", "example.com"}} },
			claims: alice("hd", "example.com"),
			want:   identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human},
		},
		"GroupWithSpace": {
			reason: "directories have groups of several words",
			claims: alice("groups", []string{"Domain Users", "équipe"}),
			want:   identity.Principal{UserName: "alice", Groups: []string{"Domain Users", "équipe"}, Kind: identity.Human},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(server)
			if tc.config != nil {
				tc.config(&config)
			}
			v, _ := verifierOf(t, config)
			got, err := verify(t, v, tokenOf(t, server, tc.claims))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			tc.want.Provider, tc.want.Issuer, tc.want.Subject, tc.want.Method = "corp", server.URL(), "a-1", Method
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(identity.Principal{}, "ExpiresAt", "ProofID"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestClaimsRefused (checklist 28, 29): signed by the right issuer and still
// not believed.
func TestClaimsRefused(t *testing.T) {
	server := startIssuer(t)
	now := time.Now()
	deep := map[string]any{"sub": "x"}
	for range maxDelegation {
		deep = map[string]any{"sub": "x", "act": deep}
	}
	email := func(c *Config) { c.UsernameClaim = "email" }
	keeping := func(c *Config) { c.Claims = []string{"team"} }
	cases := map[string]struct {
		reason string
		config func(*Config)
		claims map[string]any
		text   string
	}{
		"Expired":           {reason: "checklist 28: exp has passed", claims: alice("exp", now.Add(-time.Minute).Unix()), text: "expired"},
		"NoExpiry":          {reason: "checklist 28: a token without end is none", claims: alice("exp", nil), text: `"exp"`},
		"ExpiryAsText":      {reason: "checklist 28: exp is a number", claims: alice("exp", "2999999999"), text: `"exp"`},
		"ExpiryHuge":        {reason: "checklist 28: exp beyond the calendar overflows", claims: alice("exp", 1e300), text: `"exp"`},
		"NotYet":            {reason: "checklist 28: nbf is ahead", claims: alice("nbf", now.Add(time.Hour).Unix()), text: `"nbf"`},
		"NotYetIssued":      {reason: "checklist 28: iat is ahead", claims: alice("iat", now.Add(time.Hour).Unix()), text: `"iat"`},
		"OtherAudience":     {reason: "checklist 28, 29: the token is for another service", claims: alice("aud", "account"), text: "audience"},
		"NoAudience":        {reason: "checklist 29: a token for nobody is not for us", claims: alice("aud", nil), text: "audience"},
		"EmptyAudience":     {reason: "checklist 29: nor is one for an empty list", claims: alice("aud", []string{}), text: "audience"},
		"AudiencePrefix":    {reason: "checklist 29: audiences are compared as a whole", claims: alice("aud", "doorward-cli-2"), text: "audience"},
		"AudienceObject":    {reason: "checklist 29: aud is a string or a list", claims: alice("aud", map[string]any{"doorward": true}), text: "aud"},
		"AudienceCase":      {reason: "claim names have a case", claims: alice("aud", nil, "AUD", "doorward"), text: "audience"},
		"NoParty":           {reason: "checklist 28: several audiences need azp", claims: alice("aud", []string{"doorward", "account"}), text: "azp"},
		"OtherParty":        {reason: "checklist 28: azp is another client", claims: alice("aud", []string{"doorward", "account"}, "azp", "account"), text: "azp"},
		"UnverifiedEmail":   {reason: "checklist 28: anybody can claim an address", config: email, claims: alice("email_verified", false), text: "email_verified"},
		"EmailNotSaid":      {reason: "checklist 28: silence is no verification", config: email, claims: alice("email_verified", nil), text: "email_verified"},
		"EmailVerifiedText": {reason: "checklist 28: a string is not true", config: email, claims: alice("email_verified", "true"), text: "email_verified"},
		"TwoAts":            {reason: "checklist 28: a@x@y is read in two ways", config: email, claims: alice("email", "root@example.com@evil.com"), text: "more than one"},
		"NoName":            {reason: "the user name claim is missing", claims: alice("preferred_username", nil), text: "preferred_username"},
		"EmptyName":         {reason: "an empty name matches nothing anybody meant", claims: alice("preferred_username", ""), text: "preferred_username"},
		"NumberName":        {reason: "a name is a string", claims: alice("preferred_username", 7), text: "preferred_username"},
		"Newline":           {reason: "checklist 48: a line end in a name forges log lines", claims: alice("preferred_username", "alice\nroot"), text: "does not print"},
		"Escape":            {reason: "checklist 48: an escape sequence rewrites a terminal", claims: alice("preferred_username", "alice\x1b[2K"), text: "does not print"},
		"NUL":               {reason: "checklist 48: a NUL byte ends a name", claims: alice("preferred_username", "alice\x00"), text: "does not print"},
		"Direction":         {reason: "checklist 37: a direction mark shows another name", claims: alice("preferred_username", "alice\u202eecila"), text: "does not print"},
		"ZeroWidth":         {reason: "checklist 37: an invisible character makes a twin", claims: alice("preferred_username", "ali\u200bce"), text: "does not print"},
		"SpaceAround":       {reason: "a space at the end makes a twin", claims: alice("preferred_username", "alice "), text: "spaces"},
		"LongName":          {reason: "names are bounded", claims: alice("preferred_username", strings.Repeat("a", maxName+1)), text: "too long"},
		"LongWithPrefix":    {reason: "a session whose actor no AuditSession can hold could not be terminated", config: func(c *Config) { c.UsernamePrefix = "corp:" }, claims: alice("preferred_username", strings.Repeat("a", maxName)), text: "too long"},
		"ManyGroups":        {reason: "an AuditSession holds no more", claims: alice("groups", slices.Repeat([]string{"g"}, maxGroups+1)), text: "too many groups"},
		"SystemName":        {reason: "Kubernetes keeps these names for itself", claims: alice("preferred_username", "system:admin"), text: "reserved"},
		"SystemPrefix":      {reason: "also where the prefix makes one", config: func(c *Config) { p := "system:"; c.KubernetesUsernamePrefix = &p }, claims: alice(), text: "reserved"},
		"SystemGroup":       {reason: "system:masters would be everything", claims: alice("groups", []string{"system:masters"}), text: "reserved"},
		"BadGroup":          {reason: "a group left out might be the one that a Deny names", claims: alice("groups", []string{"ok", "evil\n"}), text: `"groups"`},
		"GroupsObject":      {reason: "groups are a string or a list", claims: alice("groups", map[string]any{"a": 1}), text: `"groups"`},
		"GroupsMixed":       {reason: "a list of strings has nothing else in it", claims: alice("groups", []any{"a", nil}), text: `"groups"`},
		"NoSubject":         {reason: "the subject names the caller in the record", claims: alice("sub", nil), text: `"sub"`},
		"BadSubject":        {reason: "checklist 48: it is on record too", claims: alice("sub", "a\r\nb"), text: `"sub"`},
		"RequiredMissing":   {reason: "a required claim is missing", config: func(c *Config) { c.RequiredClaims = []RequiredClaim{{"hd", "example.com"}} }, claims: alice(), text: `"hd"`},
		"RequiredOther":     {reason: "a required claim has another value", config: func(c *Config) { c.RequiredClaims = []RequiredClaim{{"hd", "example.com"}} }, claims: alice("hd", "evil.com"), text: `"hd"`},
		"RequiredList":      {reason: "a list that holds the value is not the value", config: func(c *Config) { c.RequiredClaims = []RequiredClaim{{"hd", "example.com"}} }, claims: alice("hd", []string{"example.com"}), text: `"hd"`},
		"UnknownKind":       {reason: "an unknown kind is an error", config: func(c *Config) { c.KindClaim = "k" }, claims: alice("k", "Robot"), text: `"Robot"`},
		"LogoutToken":       {reason: "checklist 29: a logout token proves no presence", claims: alice("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), text: "event"},
		"RefreshToken":      {reason: "checklist 29: a refresh token is for the issuer", claims: alice("typ", "Refresh"), text: "class"},
		"BoundToken":        {reason: "checklist 29: a token bound to a key is not a bearer token", claims: alice("cnf", map[string]any{"jkt": "x"}), text: "cnf"},
		"ActNoSubject":      {reason: "an actor without a name hides who acts", claims: alice("act", map[string]any{"iss": "x"}), text: `"act"`},
		"ActText":           {reason: "an actor is an object", claims: alice("act", "agent"), text: `"act"`},
		"ActNewline":        {reason: "checklist 48: actors are on record", claims: alice("act", map[string]any{"sub": "a", "iss": "b\nc"}), text: `"act"`},
		"ActDeep":           {reason: "the chain is bounded", claims: alice("act", deep), text: "more than"},
		"ClaimObject":       {reason: "a claim left out might be the one that a Deny names", config: keeping, claims: alice("team", map[string]any{"a": 1}), text: `"team"`},
		"ClaimNested":       {reason: "what cannot be compared refuses", config: keeping, claims: alice("team", []any{[]string{"a"}}), text: `"team"`},
		"ClaimNull":         {reason: "a list of values has no holes", config: keeping, claims: alice("team", []any{"a", nil}), text: `"team"`},
		"ClaimLong":         {reason: "values are bounded", config: keeping, claims: alice("team", strings.Repeat("a", maxName+1)), text: "too long"},
		"ClaimLongNumber":   {reason: "numbers too", config: keeping, claims: alice("team", json.Number(strings.Repeat("1", maxName+1))), text: "too long"},
		"ClaimMany":         {reason: "so is how many there are", config: keeping, claims: alice("team", slices.Repeat([]string{"a"}, maxValues+1)), text: "too many values"},
		"ClaimEscape":       {reason: "checklist 48: claims are on record", config: keeping, claims: alice("team", []string{"a\x1b[2K"}), text: "does not print"},
		"OtherIssuer":       {reason: "checklist 28: iss is another issuer, signed with our issuer's key", claims: alice("iss", "https://evil.example.com"), text: "issue"},
		"IssuerSlash":       {reason: "checklist 28: issuers are compared byte for byte", claims: alice("iss", server.URL()+"/"), text: "issue"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(server)
			if tc.config != nil {
				tc.config(&config)
			}
			v, _ := verifierOf(t, config)
			got, err := verify(t, v, tokenOf(t, server, tc.claims))
			if !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %+v, %v, want a rejection that names %s", tc.reason, got, err, tc.text)
			}
		})
	}
}

func TestClockSkew(t *testing.T) {
	server := startIssuer(t)
	config := configOf(server)
	config.ClockSkew = time.Minute
	v, _ := verifierOf(t, config)
	now := time.Now()

	expiry := now.Add(-30 * time.Second).Truncate(time.Second)
	got, err := verify(t, v, tokenOf(t, server, alice("exp", expiry.Unix(), "nbf", now.Add(30*time.Second).Unix())))
	if err != nil {
		t.Fatalf("a clock that differs by less than the skew: %v", err)
	}
	if want := expiry.Add(time.Minute); !got.ExpiresAt.Equal(want) {
		t.Errorf("ExpiresAt = %s, want %s: the instant from which the token is refused", got.ExpiresAt, want)
	}
	if _, err := verify(t, v, tokenOf(t, server, alice("exp", now.Add(-2*time.Minute).Unix()))); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v beyond the skew, want a rejection", err)
	}
	if _, err := verify(t, v, tokenOf(t, server, alice("nbf", now.Add(2*time.Minute).Unix()))); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("Verify = %v beyond the skew, want a rejection", err)
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Name: "corp", IssuerURL: "https://issuer.example.com", Audiences: []string{"doorward"}, UsernameClaim: "sub"}
	cases := map[string]struct {
		reason string
		change func(*Config)
		text   string
	}{
		"NoName":        {reason: "records name the provider", change: func(c *Config) { c.Name = "" }, text: "name"},
		"PlainHTTP":     {reason: "keys read in the clear prove nothing", change: func(c *Config) { c.IssuerURL = "http://issuer.example.com" }, text: "https"},
		"NoHost":        {reason: "an issuer has a host", change: func(c *Config) { c.IssuerURL = "https:///x" }, text: "host"},
		"UserInURL":     {reason: "credentials do not belong there", change: func(c *Config) { c.IssuerURL = "https://u:canary@issuer.example.com" }, text: "user"},
		"Query":         {reason: "an issuer has no query", change: func(c *Config) { c.IssuerURL += "?a=b" }, text: "query"},
		"NoAudience":    {reason: "checklist 29: without an audience any token of the issuer would do", change: func(c *Config) { c.Audiences = nil }, text: "audiences"},
		"EmptyAudience": {reason: "checklist 29: an empty audience is none", change: func(c *Config) { c.Audiences = []string{""} }, text: "audiences"},
		"None":          {reason: "checklist 28: alg none", change: func(c *Config) { c.Algorithms = []string{"none"} }, text: `"none"`},
		"Symmetric":     {reason: "checklist 28: with HS256 the public key signs", change: func(c *Config) { c.Algorithms = []string{"RS256", "HS256"} }, text: `"HS256"`},
		"NoUsername":    {reason: "a caller has a name", change: func(c *Config) { c.UsernameClaim = "" }, text: "username"},
		"BadAuthority":  {reason: "a CA that does not parse is an error", change: func(c *Config) { c.CertificateAuthorityPEM = []byte("x") }, text: "PEM"},
		"BadSkew":       {reason: "skew is bounded", change: func(c *Config) { c.ClockSkew = time.Hour }, text: "skew"},
		"EmptyClaim":    {reason: "a claim has a name", change: func(c *Config) { c.Claims = []string{"a", ""} }, text: "claims of policies"},
		"ManyClaims":    {reason: "claims are bounded", change: func(c *Config) { c.Claims = slices.Repeat([]string{"a"}, identity.MaxClaims+1) }, text: "claims of policies"},
		"BadRequired":   {reason: "a required claim has a value", change: func(c *Config) { c.RequiredClaims = []RequiredClaim{{Claim: "hd"}} }, text: "required claim"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := good
			tc.change(&config)
			_, err := New(t.Context(), config)
			if err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %v, want an error that names %s", tc.reason, err, tc.text)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("checklist 49: the error shows a password: %v", err)
			}
		})
	}
	if v, err := New(t.Context(), good); err != nil {
		t.Errorf("New = %v", err)
	} else {
		v.Close()
	}
}
