// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/blob"
)

func TestOptions(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*blob.Options)
		want   string // part of the error; empty for none
	}{
		"Good":              {"", func(*blob.Options) {}, ""},
		"Everything":        {"", func(o *blob.Options) { o.Prefix, o.LockMode, o.RetentionDays = "/a/b-c/", blob.Compliance, 36500 }, ""},
		"NoEndpoint":        {"there is no standard place", func(o *blob.Options) { o.Endpoint = "" }, "endpoint"},
		"EndpointPath":      {"a path would be lost", func(o *blob.Options) { o.Endpoint += "/x" }, "without path"},
		"EndpointUser":      {"checklist 47: a password in a URL would be shown", func(o *blob.Options) { o.Endpoint = "https://a:canary@b" }, "without path"},
		"EndpointBroken":    {"checklist 47: a URL that cannot be read is not shown", func(o *blob.Options) { o.Endpoint = "https://a:canary@b:x y" }, "endpoint"},
		"EndpointScheme":    {"only HTTP is spoken", func(o *blob.Options) { o.Endpoint = "ftp://b" }, "neither http nor https"},
		"Clear":             {"clear text must be asked for", func(o *blob.Options) { o.Endpoint = "http://b" }, "not encrypted"},
		"Contradiction":     {"which of the two is meant is not guessed", func(o *blob.Options) { o.TLS.Disabled = true }, "contradicts"},
		"BadCA":             {"a typo must not mean the system's roots", func(o *blob.Options) { o.TLS.CA = "x" }, "PEM"},
		"Bucket":            {"a bucket is no path", func(o *blob.Options) { o.Bucket = "a/b" }, "bucket"},
		"Region":            {"a region is a name", func(o *blob.Options) { o.Region = "eu west" }, "region"},
		"PrefixParent":      {"clients resolve dots", func(o *blob.Options) { o.Prefix = "a/../b" }, "prefix"},
		"PrefixControl":     {"keys are shown to people", func(o *blob.Options) { o.Prefix = "a\x1b[2K" }, "prefix"},
		"PrefixLong":        {"a key has 1024 bytes", func(o *blob.Options) { o.Prefix = strings.Repeat("a", 513) }, "prefix"},
		"NoKey":             {"anonymous requests are not meant", func(o *blob.Options) { o.SecretAccessKey = "" }, "credentials"},
		"Addressing":        {"a typo is an error", func(o *blob.Options) { o.Addressing = "path" }, "addressing"},
		"Compression":       {"a typo is an error", func(o *blob.Options) { o.Compression = "zstd" }, "compression"},
		"StorageClass":      {"a class is a name", func(o *blob.Options) { o.StorageClass = "A B" }, "storage class"},
		"LockMode":          {"a typo must not mean no retention", func(o *blob.Options) { o.LockMode, o.RetentionDays = "compliance", 1 }, "lock mode"},
		"LockWithoutDays":   {"a lock needs its time", func(o *blob.Options) { o.LockMode = blob.Compliance }, "retention"},
		"DaysWithoutLock":   {"days alone would retain nothing", func(o *blob.Options) { o.RetentionDays = 30 }, "without a lock mode"},
		"NegativeDays":      {"time runs forward", func(o *blob.Options) { o.LockMode, o.RetentionDays = blob.Governance, -1 }, "retention"},
		"ClientCertificate": {"half a pair is no certificate", func(o *blob.Options) { o.TLS.Certificate = []byte("x") }, "client certificate"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := blob.Options{
				Endpoint: "https://s3.example.com", Bucket: "records", AccessKeyID: "id", SecretAccessKey: "canary", TLS: sink.TLS{},
			}
			tc.change(&options)
			_, err := blob.New(options)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: New: %v, want an error that says %q", tc.reason, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error shows a secret: %v", tc.reason, err)
			}
		})
	}
}

// TestOptionsPrintNothing is checklist 47.
func TestOptionsPrintNothing(t *testing.T) {
	options := blob.Options{SecretAccessKey: "canary", SessionToken: "canary"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, options) + fmt.Sprintf(verb, &options); strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
