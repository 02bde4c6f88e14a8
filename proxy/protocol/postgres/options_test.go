// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"
	"testing"
)

// TestOptions is checklist 40: what is misspelt is an error that names the key
// and the remedy, never another setting.
func TestOptions(t *testing.T) {
	const databases = `"databases":["shop"]`
	for name, tc := range map[string]struct {
		raw  string
		text []string
	}{
		"least":               {raw: `{` + databases + `}`},
		"all":                 {raw: `{` + databases + `,"authentication":"OAuth","oauth":{"identityProvider":"staff","scope":"openid groups"},"channelBinding":"Require","sslNegotiation":"Direct","targetSessionAttrs":"PreferStandby"}`},
		"logins":              {raw: `{` + databases + `,"foreignLogins":{"roles":"All","except":["replicator"]}}`},
		"unknown roles":       {raw: `{` + databases + `,"foreignLogins":{"roles":"all"}}`, text: []string{"foreignLogins.roles: want one of Own, All, None", `"all"`}},
		"exception of none":   {raw: `{` + databases + `,"foreignLogins":{"except":["replicator"]}}`, text: []string{"foreignLogins.except", "replicator"}},
		"exception of nobody": {raw: `{` + databases + `,"foreignLogins":{"roles":"All","except":[""]}}`, text: []string{"foreignLogins.except"}},
		"misspelt logins":     {raw: `{` + databases + `,"foreignLogin":{}}`, text: []string{"foreignLogin", `"foreignLogins"`}},
		"nothing":             {raw: ``, text: []string{`"databases" is missing`}},
		"null":                {raw: `null`, text: []string{"databases: want 1 to 32"}},
		"no database":         {raw: `{"databases":[]}`, text: []string{"databases: want 1 to 32"}},
		"empty name":          {raw: `{"databases":[""]}`, text: []string{"databases"}},
		"twice":               {raw: `{"databases":["a","a"]}`, text: []string{"named twice", `"a"`}},
		"unknown key":         {raw: `{` + databases + `,"chanelBinding":"Require"}`, text: []string{"chanelBinding", `"channelBinding"`}},
		"unknown key of one":  {raw: `{` + databases + `,"oauth":{"provider":"x"}}`, text: []string{"provider"}},
		"case of a word":      {raw: `{` + databases + `,"authentication":"oauth"}`, text: []string{"authentication: want one of Password, OAuth", `"oauth"`}},
		"unknown binding":     {raw: `{` + databases + `,"channelBinding":"Disable"}`, text: []string{"channelBinding: want one of Prefer, Require"}},
		"unknown negotiation": {raw: `{` + databases + `,"sslNegotiation":"direct"}`, text: []string{"sslNegotiation: want one of Postgres, Direct"}},
		"unknown attrs":       {raw: `{` + databases + `,"targetSessionAttrs":"read-write"}`, text: []string{"targetSessionAttrs: want one of Any, ReadWrite, ReadOnly, Primary, Standby, PreferStandby"}},
		"scope":               {raw: `{` + databases + `,"oauth":{"scope":"a  b"}}`, text: []string{"oauth.scope"}},
		"scope with quotes":   {raw: `{` + databases + `,"oauth":{"scope":"a\"b"}}`, text: []string{"oauth.scope"}},
		"of another type":     {raw: `{"databases":"shop"}`, text: []string{"databases"}},
		"and more":            {raw: `{` + databases + `}{}`, text: []string{"nothing after it"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := New().ValidateOptions([]byte(tc.raw))
			if (err == nil) != (tc.text == nil) {
				t.Fatalf("parseOptions(%s) = %v", tc.raw, err)
			}
			for _, text := range tc.text {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("parseOptions(%s) = %q, want it to say %q", tc.raw, err, text)
				}
			}
		})
	}
	o, err := parseOptions([]byte(`{` + databases + `}`))
	if err != nil || o.Authentication != authenticationPassword || o.ChannelBinding != bindingPrefer || o.SSLNegotiation != sslPostgres || o.TargetSessionAttrs != attrsAny {
		t.Errorf("what is unset: %+v, %v", o, err)
	}
}
