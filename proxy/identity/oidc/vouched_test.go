// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/doorward/doorward/proxy/identity"
)

type nobodyAsks struct{}

func (nobodyAsks) ReviewToken(context.Context, string, []string) (*authenticationv1.TokenReviewStatus, error) {
	return nil, errors.New("not asked")
}

// TestVouched: what the manager vouches for is judged as a token would be, without one.
func TestVouched(t *testing.T) {
	now := time.Now().Unix()
	config := Config{
		Name: "corp", IssuerURL: "https://idp.example", Audiences: []string{"doorward"}, UsernameClaim: "preferred_username",
		ClaimRules: []Rule{{Expression: "claims.exp - claims.iat <= 3600", Message: "lasts too long"}},
	}
	claims := func(change ...string) string {
		values := map[string]string{
			"iss": `"https://idp.example"`, "aud": `"doorward"`, "sub": `"a-1"`, "preferred_username": `"ann"`,
			"iat": fmt.Sprint(now), "nbf": fmt.Sprint(now), "exp": fmt.Sprint(now + 600),
		}
		for i := 0; i < len(change); i += 2 {
			values[change[i]] = change[i+1]
		}
		var members []string
		for name, value := range values {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	v, _ := verifierOf(t, config)
	got, err := v.Vouched(t.Context(), json.RawMessage(claims("nbf", fmt.Sprint(now+30), "iat", fmt.Sprint(now+30))))
	if err != nil || got.UserName != "ann" || got.Subject != "a-1" || got.Issuer != "https://idp.example" || got.Provider != "corp" || got.Method != Method {
		t.Errorf("Vouched = %+v, %v: the clocks of manager and proxy may differ", got, err)
	}
	for name, tc := range map[string]struct{ reason, claims, says string }{
		"Issuer":   {"another issuer's claims", claims("iss", `"https://else.example"`), "another issuer"},
		"Audience": {"for somebody else", claims("aud", `"else"`), "audience"},
		"Class":    {"a logout token proves no presence", claims("events", `{}`), "event"},
		"Rule":     {"a rule of the provider", claims("exp", fmt.Sprint(now+7200)), "lasts too long"},
		"NoEnd":    {"the credential's end is there", claims("exp", "null"), "exp"},
		"Over":     {"it has ended", claims("exp", fmt.Sprint(now-120)), "expired"},
		"Twice":    {"one name once", strings.Replace(claims(), "{", `{"sub":"b-2",`, 1), "twice"},
		"NoObject": {"claims are an object", `[]`, "no object"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := v.Vouched(t.Context(), json.RawMessage(tc.claims)); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %+v, %v", tc.reason, got, err)
			}
		})
	}
	reviewed, _ := verifierOf(t, Config{
		Name: "cluster", IssuerURL: "https://cluster.example", Audiences: []string{"doorward"}, ServiceAccounts: &ServiceAccounts{}, Review: nobodyAsks{},
	})
	if _, err := reviewed.Vouched(t.Context(), json.RawMessage(claims())); !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "TokenReview") {
		t.Errorf("what the API server has to be asked about each time was vouched for: %v", err)
	}
}
