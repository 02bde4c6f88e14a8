// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/access"
)

// TestDecodeBearer is RFC 7628, section 3.1, read strictly.
func TestDecodeBearer(t *testing.T) {
	for name, tc := range map[string]struct {
		message string
		want    string
		err     string
	}{
		"as libpq sends it":       {message: "n,,\x01auth=Bearer abc.DEF-1_~+/==\x01\x01", want: "abc.DEF-1_~+/=="},
		"with host and port":      {message: "n,,\x01host=db.example\x01port=5432\x01auth=bearer abc\x01\x01", want: "abc"},
		"client could bind":       {message: "y,,\x01auth=BEARER  abc\x01\x01", want: "abc"},
		"unknown keys":            {message: "n,,\x01x=1\x01auth=Bearer abc\x01y=\x01\x01", want: "abc"},
		"asks for the metadata":   {message: "n,,\x01auth=\x01\x01"},
		"binds the channel":       {message: "p=tls-unique,,\x01auth=Bearer abc\x01\x01", err: "channel binding"},
		"as somebody else":        {message: "n,a=bob,\x01auth=Bearer abc\x01\x01", err: "authorization identity"},
		"no header":               {message: "auth=Bearer abc\x01\x01", err: "GS2"},
		"empty":                   {message: "", err: "GS2"},
		"only the end":            {message: "\x01", err: "GS2"},
		"no separator":            {message: "n,,auth=Bearer abc\x01\x01", err: "separator"},
		"no pairs":                {message: "n,,\x01\x01", err: `"auth" is missing`},
		"no end":                  {message: "n,,\x01auth=Bearer abc\x01", err: "no end"},
		"no end at all":           {message: "n,,\x01auth=Bearer abc", err: "no end"},
		"bytes after the end":     {message: "n,,\x01auth=Bearer abc\x01\x01x", err: "1 bytes follow"},
		"twice":                   {message: "n,,\x01auth=Bearer abc\x01auth=Bearer xyz\x01\x01", err: "twice"},
		"twice, empty first":      {message: "n,,\x01auth=\x01auth=Bearer xyz\x01\x01", err: "twice"},
		"another key twice":       {message: "n,,\x01host=a\x01host=b\x01auth=Bearer abc\x01\x01", err: "twice"},
		"a pair without a value":  {message: "n,,\x01auth\x01\x01", err: "key=value"},
		"a pair without a key":    {message: "n,,\x01=x\x01auth=Bearer abc\x01\x01", err: "key=value"},
		"a key with a digit":      {message: "n,,\x01a1=x\x01auth=Bearer abc\x01\x01", err: "key=value"},
		"a NUL in a value":        {message: "n,,\x01host=\x00\x01auth=Bearer abc\x01\x01", err: "key=value"},
		"another scheme":          {message: "n,,\x01auth=Basic YTpi\x01\x01", err: "Bearer"},
		"no token":                {message: "n,,\x01auth=Bearer\x01\x01", err: "Bearer"},
		"a token and more":        {message: "n,,\x01auth=Bearer abc xyz\x01\x01", err: "Bearer"},
		"a token that is no one":  {message: "n,,\x01auth=Bearer a\"b\x01\x01", err: "Bearer"},
		"space before the scheme": {message: "n,,\x01auth= Bearer abc\x01\x01", err: "Bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeBearer([]byte(tc.message))
			if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("decodeBearer(%q) = %q, %v, want %q, %s", tc.message, got, err, tc.want, tc.err)
			}
			if err != nil && (strings.Contains(err.Error(), "abc") || strings.Contains(err.Error(), "xyz")) {
				t.Errorf("checklist 47: the token is in the error: %v", err)
			}
		})
	}
}

func initial(name string, length int32, data string) []byte {
	b := append([]byte(name), 0)
	return append(binary.BigEndian.AppendUint32(b, uint32(length)), data...)
}

// TestDecodeSASLInitial is checklist 13 for the message that carries it.
func TestDecodeSASLInitial(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  []byte
		want string
		bad  bool
	}{
		"whole":             {raw: initial(mechanism, 4, "data"), want: "data"},
		"empty":             {raw: initial(mechanism, 0, "")},
		"no response":       {raw: initial(mechanism, -1, ""), bad: true},
		"length -2":         {raw: initial(mechanism, -2, "data"), bad: true},
		"too short":         {raw: initial(mechanism, 5, "data"), bad: true},
		"too long":          {raw: initial(mechanism, 3, "data"), bad: true},
		"2^31-1":            {raw: initial(mechanism, 1<<31-1, "data"), bad: true},
		"another mechanism": {raw: initial("SCRAM-SHA-256", 4, "data"), bad: true},
		"a password":        {raw: []byte("secret\x00"), bad: true},
		"nothing":           {bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeSASLInitial(tc.raw)
			if string(got) != tc.want || (err != nil) != tc.bad {
				t.Errorf("decodeSASLInitial(%q) = %q, %v", tc.raw, got, err)
			}
		})
	}
}

func TestConfigurationURL(t *testing.T) {
	issuers := []access.Issuer{{Name: "staff", URL: "https://b.example/realms/staff/"}, {Name: "ci", URL: "https://a.example"}}
	got := map[string]string{}
	for _, name := range []string{"", "staff", "ci", "nobody"} {
		got[name] = configurationURL(issuers, name)
	}
	want := map[string]string{
		"":       "https://a.example/.well-known/openid-configuration",
		"staff":  "https://b.example/realms/staff/.well-known/openid-configuration",
		"ci":     "https://a.example/.well-known/openid-configuration",
		"nobody": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzSASL: no message crashes, and what is taken is one token of the message.
func FuzzSASL(f *testing.F) {
	f.Add(initial(mechanism, 24, "n,,\x01auth=Bearer abc\x01\x01"))
	f.Add(initial(mechanism, 12, "n,,\x01auth=\x01\x01"))
	f.Add(initial(mechanism, -1, ""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		message, err := decodeSASLInitial(raw)
		if err != nil {
			return
		}
		token, err := decodeBearer(message)
		if err != nil || token == "" {
			return
		}
		if strings.Count(string(message), "\x01auth=") != 1 || !strings.Contains(string(message), " "+token+"\x01") || strings.ContainsAny(token, "\x00\x01 \r\n\"") {
			t.Errorf("token %q of %q", token, message)
		}
	})
}
