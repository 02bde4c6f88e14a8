// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const canary = "c4n4ry-s3cr3t"

// TestCanarySecrets is checklist 47: canary secrets of every shape, in every
// member a caller can write to, never reach the record.
func TestCanarySecrets(t *testing.T) {
	jwt := "eyJhbGciOiJub25lIn0." + "eyJzdWIiOiJjNG40cnktczNjcjN0In0" + ".c2ln"
	for name, secret := range map[string]string{
		"AlterRole":       "ALTER ROLE app PASSWORD '" + canary + "'",
		"CreateUser":      "create user app with encrypted password\n\t'" + canary + "' login",
		"EscapeString":    "ALTER ROLE app PASSWORD E'x\\'" + canary + "' VALID UNTIL 'x'",
		"DoubledQuote":    "ALTER ROLE app PASSWORD 'x''" + canary + "'",
		"DollarQuote":     "ALTER ROLE app PASSWORD $q$" + canary + "$q$",
		"Unterminated":    "ALTER ROLE app PASSWORD '" + canary,
		"IdentifiedBy":    "CREATE USER app IDENTIFIED BY '" + canary + "'",
		"Conninfo":        "CREATE SUBSCRIPTION s CONNECTION 'host=db user=app password=" + canary + " dbname=x' PUBLICATION p",
		"Crypt":           "UPDATE users SET password = crypt('" + canary + "', gen_salt('bf'))",
		"Column":          `UPDATE users SET "password_hash" = '` + canary + "'",
		"URL":             "connect postgres://app:" + canary + "@db/shop",
		"Bearer":          "Authorization: Bearer " + canary + canary,
		"JWT":             "rejected: " + jwt,
		"Passwd":          "passwd=" + canary,
		"ClientSecret":    "client_secret=" + canary + "&x=y",
		"AccessToken":     `{"access_token":"` + canary + `"}`,
		"CutAtTheLimit":   strings.Repeat("x", StatementLimit-40) + " PASSWORD '" + canary + canary + canary,
		"CutTokenAtLimit": strings.Repeat("x", StatementLimit-30) + " " + strings.ReplaceAll(jwt, ".", ""),
	} {
		t.Run(name, func(t *testing.T) {
			got := encode(Event{
				Type: OperationDecided, Reason: secret,
				Operation:  &Operation{Statement: secret, Normalized: secret, Digest: "x"},
				Decision:   &Decision{Message: secret},
				Attributes: []Attribute{{Name: "application_name", Value: secret}, {Name: "Set-Cookie", Value: canary}, {Name: "db_password", Value: canary}},
			})
			for _, word := range []string{canary, "eyJzdWIiOiJ"} {
				if bytes.Contains(got, []byte(word)) {
					t.Errorf("secret in the record: %s", got)
				}
			}
		})
	}
}

func TestRedactKeepsTheRest(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   string
	}{
		"Literal":     {reason: "only the literal goes", in: "ALTER ROLE a PASSWORD 'x' LOGIN", want: "ALTER ROLE a PASSWORD [redacted] LOGIN"},
		"Two":         {reason: "each literal goes", in: "PASSWORD 'x'; PASSWORD 'y'", want: "PASSWORD [redacted]; PASSWORD [redacted]"},
		"Null":        {reason: "a keyword is no secret", in: "ALTER ROLE a PASSWORD NULL", want: "ALTER ROLE a PASSWORD NULL"},
		"Parameter":   {reason: "a parameter's value is elsewhere", in: "WHERE password = $1 AND x = 'y'", want: "WHERE password = $1 AND x = 'y'"},
		"Column":      {reason: "a column is no value", in: "SELECT password FROM users WHERE name = 'x'", want: "SELECT password FROM users WHERE name = 'x'"},
		"Prose":       {reason: "reasons stay readable", in: "credential rejected: token expired: 5m ago", want: "credential rejected: token expired: 5m ago"},
		"ProseColon":  {reason: "reasons stay readable", in: "token: expired", want: "token: expired"},
		"URL":         {reason: "host and user stay", in: "postgres://app:x@db:5432/shop", want: "postgres://app:[redacted]@db:5432/shop"},
		"URLWithPort": {reason: "a port is no password", in: "https://idp.example.com:8443/x", want: "https://idp.example.com:8443/x"},
		"Word":        {reason: "what begins like a marker stays", in: "eyJ is short; secretary; tokens", want: "eyJ is short; secretary; tokens"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, redact(tc.in)); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// FuzzRedact holds the short ways to a string without a secret against the long one.
func FuzzRedact(f *testing.F) {
	f.Add("PASSWORD $q$x$q$ 'a' ://u:p@h eyJa.b.c")
	f.Add("passwd=x Identified by 'x' secret:x Token=x Bearer aaaaaaaaaaaaaaaaaaaa eyJhbGciOiJub25lIn0.e30.")
	f.Add("SELECT total FROM shop.orders WHERE id = $1 AND aid = 1")
	f.Fuzz(func(t *testing.T, s string) {
		for i := range len(s) {
			if from, to := secretAt(s, i); to > from && !marked(s, i) {
				t.Errorf("%q would be passed over", s[i:])
			}
		}
		if simple(s) {
			want := `"` + s + `"`
			if one, more := appendString(nil, redact(s), false), appendString(nil, redact(s), true); string(one) != want || string(more) != want {
				t.Errorf("%q becomes %s and %s", s, one, more)
			}
		}
		if got := redact(s); len(got) > len(s)+len(redacted)*(len(s)+1) {
			t.Errorf("%d bytes of %d", len(got), len(s))
		}
	})
}
