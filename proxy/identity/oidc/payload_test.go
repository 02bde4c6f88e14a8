// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/test/oidctest"
)

// TestPayloadRefused (checklist 28): tokens that the issuer signed and that readers
// would not agree about, or that are none.
func TestPayloadRefused(t *testing.T) {
	server := startIssuer(t)
	v, _ := verifierOf(t, configOf(server))
	signing := server.SigningKey()
	exp := time.Now().Add(time.Hour).Unix()
	payload := func(more string) string {
		return fmt.Sprintf(`{"iss":%q,"aud":"doorward","sub":"a-1","preferred_username":"alice","exp":%d%s}`, server.URL(), exp, more)
	}
	sign := func(payload string) string {
		token, err := oidctest.Sign(jose.SigningKey{Algorithm: jose.ES256, Key: signing.Key}, []byte(payload), map[string]any{"kid": signing.KeyID})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if _, err := verify(t, v, sign(payload(`,"a":{"x":1,"y":[{"x":1},{"x":2}]},"b":["x","x"]`))); err != nil {
		t.Fatalf("names that repeat elsewhere are not twice: %v", err)
	}
	good := sign(payload(""))
	_, after, _ := strings.Cut(good, ".")
	cases := map[string]struct{ reason, token string }{
		"Name":       {"the first or the last, as the reader likes", sign(payload(`,"preferred_username":"root"`))},
		"Escaped":    {"spelt in another way, it is the same name", sign(payload(`,"preferred\u005fusername":"root"`))},
		"Audience":   {"for whom it is must not be a matter of the reader", sign(payload(`,"aud":"other"`))},
		"Nested":     {"within a claim too", sign(payload(`,"act":{"sub":"a","sub":"b"}`))},
		"InList":     {"at any depth", sign(payload(`,"x":[[{"y":{"z":1,"z":2}}]]`))},
		"Token":      {"a token within a token", sign(good)},
		"List":       {"claims are an object", sign(`[` + payload("") + `]`)},
		"Null":       {"and a whole one", sign(`null`)},
		"Half":       {"that ends", sign(payload("")[:40])},
		"Two":        {"and is one", sign(payload("") + payload(""))},
		"FarFuture":  {"a date is one", sign(strings.Replace(payload(""), fmt.Sprint(exp), "1e300", 1))},
		"ExpString":  {"and a number", sign(strings.Replace(payload(""), fmt.Sprint(exp), fmt.Sprintf("%q", fmt.Sprint(exp)), 1))},
		"OtherIss":   {"of another issuer", sign(strings.Replace(payload(""), server.URL(), server.URL()+"/", 1))},
		"BadUTF8":    {"text is UTF-8", sign(payload(",\"x\":\"\xff\",\"groups\":[\"\xff\"]"))},
		"HeaderName": {"a header's name twice", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","alg":"ES256"}`)) + "." + after},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := verify(t, v, tc.token); !errors.Is(err, identity.ErrRejected) {
				t.Errorf("%s: got %+v, %v, want a rejection", tc.reason, got, err)
			}
		})
	}
}
