// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/identity/expression"
)

func claims(t *testing.T, text string) *expression.Input {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	input, err := expression.Claims(all)
	if err != nil {
		t.Fatal(err)
	}
	return input
}

// TestCompileErrors: what is wrong is said with the field and the place in it.
func TestCompileErrors(t *testing.T) {
	cases := map[string]struct {
		reason  string
		compile func(field, text string) (*expression.Expression, error)
		text    string
		want    string
	}{
		"Syntax":       {"a bracket is missing", expression.Mapping, "claims.a + (", "spec.x: compilation failed: at 1:13"},
		"Name":         {"no such variable", expression.Mapping, "\n  token.sub", "at 2:3: undeclared reference to 'token'"},
		"NotBool":      {"a rule is a condition", expression.ClaimRule, "claims.sub", "spec.x: must evaluate to bool"},
		"UserInClaims": {"users are not there yet", expression.ClaimRule, "user.username == 'a'", "undeclared reference to 'user'"},
		"UserField":    {"users have no such field", expression.UserRule, "user.name == 'a'", "undefined field 'name'"},
		"Long":         {"bounded", expression.Mapping, "'" + strings.Repeat("a", expression.MaxLength) + "'", "too long"},
		"Deep":         {"bounded", expression.Mapping, strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300), "recursion"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := tc.compile("spec.x", tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v, want one line with %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	const token = `{"sub":"a-1","roles":["x","y"],"n":7,"o":{"p":"q"},"kubernetes.io":{"namespace":"shop"}}`
	cases := map[string]struct{ reason, text, want, fault string }{
		"Claim":    {reason: "a claim", text: "claims.sub", want: "a-1"},
		"Nested":   {reason: "a claim within one", text: "claims.o.p", want: "q"},
		"Dotted":   {reason: "a claim whose name is no identifier", text: `claims["kubernetes.io"].namespace`, want: "shop"},
		"Joined":   {reason: "functions of strings", text: `'ci:' + claims.roles.join('/')`, want: "ci:x/y"},
		"Absent":   {reason: "what may be absent is asked for", text: "claims.?email.orValue('none')", want: "none"},
		"Missing":  {reason: "what is absent fails, by name", text: "claims.email", fault: "spec.x: the expression fails for this token: no such key: email"},
		"Number":   {reason: "a number is no name", text: "claims.n", fault: "must come to a string, for this token it came to double"},
		"ManyName": {reason: "nor is a list", text: "claims.roles", fault: "came to list"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e, err := expression.Mapping("spec.x", tc.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Text(t.Context(), claims(t, token))
			if tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) || tc.fault == "" && err != nil || got != tc.want {
				t.Errorf("%s: got %q, %v, want %q, %q", tc.reason, got, err, tc.want, tc.fault)
			}
		})
	}
}

func TestList(t *testing.T) {
	const token = `{"one":"a","many":["b","","a"],"none":null,"bad":["a",1],"n":1,"map":{"admins":"x"}}`
	cases := map[string]struct {
		reason, text string
		want         []string
		fault        string
	}{
		"One":      {reason: "a string is one", text: "claims.one", want: []string{"a"}},
		"Many":     {reason: "a list, without empty ones", text: "claims.many", want: []string{"b", "a"}},
		"Made":     {reason: "a list that the expression makes", text: "dyn(claims.many).filter(g, g != '').map(g, 'x:' + g)", want: []string{"x:b", "x:a"}},
		"Null":     {reason: "null is none", text: "claims.none"},
		"Empty":    {reason: "so is an empty string", text: "''"},
		"BadOne":   {reason: "a number is no name", text: "claims.bad", fault: "it holds double"},
		"Map":      {reason: "a map's keys are no names", text: "claims.map", fault: "it holds map"},
		"MadeMap":  {reason: "nor are those of one that is made", text: "dyn({'admins': 'x'})", fault: "it holds map"},
		"NotAList": {reason: "a number is no list", text: "claims.n", fault: "it holds double"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e, err := expression.Mapping("spec.x", tc.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.List(t.Context(), claims(t, token))
			if tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) || tc.fault == "" && err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %q, %v, want %q, %q", tc.reason, got, err, tc.want, tc.fault)
			}
		})
	}
}

func TestUserRule(t *testing.T) {
	user := expression.User{Username: "corp:alice", UID: "7", Groups: []string{"dba"}, Extra: map[string][]string{"example.com/tenant": {"shop"}}}
	for text, want := range map[string]bool{
		"!user.username.startsWith('system:')":          true,
		"'dba' in user.groups":                          true,
		"user.groups.all(g, g != 'dba')":                false,
		"user.extra['example.com/tenant'] == ['shop']":  true,
		"user.uid == '7' && user.username != 'mallory'": true,
	} {
		e, err := expression.UserRule("spec.x", text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Holds(t.Context(), claims(t, `{}`).Of(user)); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// TestCost: neither one expression nor all of one token together run for long,
// whatever the token holds.
func TestCost(t *testing.T) {
	many := `{"l":[` + strings.Repeat(`"a",`, 150) + `"a"]}`
	costly, err := expression.ClaimRule("spec.x", "dyn(claims.l).all(a, dyn(claims.l).all(b, dyn(claims.l).all(c, a == b && b == c)))")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := costly.Holds(t.Context(), claims(t, many)); err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("one expression: %v, want its limit", err)
	}
	dear, err := expression.ClaimRule("spec.x", "dyn(claims.l).all(a, dyn(claims.l).all(b, a == b))")
	if err != nil {
		t.Fatal(err)
	}
	input := claims(t, many)
	for range 100 {
		if _, err = dear.Holds(t.Context(), input); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "cost limit") && !strings.Contains(err.Error(), "cost too much") {
		t.Errorf("many expressions: %v, want the budget", err)
	}
}

func TestReads(t *testing.T) {
	for text, want := range map[string]bool{
		"claims.email":                             true,
		`claims["email"]`:                          true,
		"claims.?email.orValue('')":                true,
		"has(claims.email) ? 'a' : 'b'":            true,
		"[claims.sub].map(x, claims.email + x)[0]": true,
		"claims.sub":                               false,
		"claims.profile.email":                     false,
		"'claims.email'":                           false,
	} {
		e, err := expression.Mapping("spec.x", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Reads("email"); got != want {
			t.Errorf("%s: Reads = %v, want %v", text, got, want)
		}
	}
}
