// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/record/sink/webhook"
)

func TestOptions(t *testing.T) {
	header := func(name, value string) func(*webhook.Options) {
		return func(o *webhook.Options) { o.Headers = map[string]string{name: value} }
	}
	secret := func(secrets ...string) func(*webhook.Options) {
		return func(o *webhook.Options) {
			o.Secrets = nil
			for _, s := range secrets {
				o.Secrets = append(o.Secrets, []byte(s))
			}
		}
	}
	const short = "Y2FuYXJ5Y2FuYXJ5" // 12 bytes
	cases := map[string]struct {
		reason string
		change func(*webhook.Options)
		want   string // part of the error; empty for none
	}{
		"Good":          {"", func(*webhook.Options) {}, ""},
		"Headers":       {"", header("Authorization", "Bearer canary"), ""},
		"NoURL":         {"there is no standard place", func(o *webhook.Options) { o.URL = "" }, "URL"},
		"User":          {"checklist 47: a password in a URL would be shown", func(o *webhook.Options) { o.URL = "https://a:canary@b/" }, "credentials belong into headers"},
		"Broken":        {"checklist 47: a URL that cannot be read is not shown", func(o *webhook.Options) { o.URL = "https://b/%zz?canary" }, "URL"},
		"Scheme":        {"only HTTP is spoken", func(o *webhook.Options) { o.URL = "ftp://b" }, "neither http nor https"},
		"Clear":         {"clear text must be asked for", func(o *webhook.Options) { o.URL = "http://b/?canary" }, "not encrypted"},
		"Contradiction": {"which of the two is meant is not guessed", func(o *webhook.Options) { o.TLS.Disabled = true }, "contradicts"},
		"BadCA":         {"a typo must not mean the system's roots", func(o *webhook.Options) { o.TLS.CA = "x" }, "PEM"},
		"Compression":   {"a typo is an error", func(o *webhook.Options) { o.Compression = "gzip" }, "compression"},
		"NoSecret":      {"a receiver could not tell records from forgeries", secret(), "signing secrets"},
		"ManySecrets":   {"a request has bounds", secret(strings.Split(strings.Repeat(newSecret()+" ", 11), " ")[:11]...), "signing secrets"},
		"NotBase64":     {"both sides must mean the same bytes", secret(newSecret(), "canary canary canary canary"), "signing secret 2"},
		"ShortSecret":   {"a short key can be guessed", secret(short), "signing secret 1"},
		"LongSecret":    {"longer keys are not portable", secret(strings.Repeat(short, 6)), "signing secret 1"},
		"HeaderName":    {"checklist 24: a name must not end the line", header("a:b\r\nc", "x"), "header name"},
		"HeaderValue":   {"checklist 24: a value must not begin another header", header("X-A", "canary\r\nX-B: 1"), "control characters"},
		"Host":          {"the URL says the host", header("host", "canary"), "cannot be set"},
		"Length":        {"checklist 24: framing is net/http's", header("content-length", "1"), "cannot be set"},
		"Encoding":      {"checklist 24: framing is net/http's", header("transfer-encoding", "chunked"), "cannot be set"},
		"Signature":     {"signatures are the sink's", header("webhook-signature", "v1,canary"), "cannot be set"},
		"Twice":         {"which is meant is not guessed", func(o *webhook.Options) { o.Headers = map[string]string{"X-A": "canary", "x-a": "canary"} }, "set twice"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := webhook.Options{URL: "https://logs.example.com/in", Secrets: [][]byte{[]byte(newSecret())}}
			tc.change(&options)
			_, err := webhook.New(options)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: New: %v, want an error that says %q", tc.reason, err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), short)) {
				t.Errorf("%s: the error shows a secret: %v", tc.reason, err)
			}
		})
	}
}

// TestOptionsPrintNothing is checklist 47.
func TestOptionsPrintNothing(t *testing.T) {
	options := webhook.Options{URL: "https://b/?canary", Secrets: [][]byte{[]byte("canary")}, Headers: map[string]string{"a": "canary"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb, options) + fmt.Sprintf(verb, &options)
		if strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") || strings.Contains(text, "99 97 110") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
