// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	clipolicy "github.com/doorward/doorward/cli/policy"
)

func TestTest(t *testing.T) {
	cases := map[string]struct {
		reason         string
		file, old, new string
		want           error
	}{
		"passed": {reason: "all is as expected", file: "tests.yaml", old: "name: analysts read orders", new: "name: analysts read orders"},
		"failed": {reason: "a rule that a case relies on is gone", file: "policies.yaml", old: "[public.customers, public.orders]", new: "[public.customers]", want: clipolicy.ErrTestsFailed},
		"closed": {reason: "a policy that restricts is not accepted", file: "policies.yaml", old: "actions: [update, delete]\n      properties", new: "actions: [updat]\n      properties", want: clipolicy.ErrTestsFailed},
		"mask":   {reason: "a mask that is gone is noticed", file: "policies.yaml", old: "detect: [PaymentCard, IBAN]", new: "detect: [PaymentCard, IBAN]\n      exempt:\n        - {kind: Group, name: analysts, identityProvider: company}", want: clipolicy.ErrTestsFailed},
		"time":   {reason: "a case whose answer depends on the time says when", file: "tests.yaml", old: "groups: [analysts], provider: company}", new: "groups: [analysts, oncall], provider: company}", want: clipolicy.ErrTestsFailed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := edited(t, tc.file, tc.old, tc.new)
			for _, format := range []string{"text", "junit"} {
				args := []string{"test", dir}
				if format != "text" {
					args = append(args, "-o", format)
				}
				out, err := call(t, args...)
				if !errors.Is(err, tc.want) || (err != nil) != (tc.want != nil) {
					t.Fatalf("%s: %v, want %v\n%s", tc.reason, err, tc.want, out)
				}
				golden(t, "test-"+name+"."+format, strings.ReplaceAll(out, dir, "shop"))
			}
		})
	}
}

// TestSamples: the samples for SSH are accepted, and come to what they say.
func TestSamples(t *testing.T) {
	args := []string{"test", filepath.Join("testdata", "ssh", "tests.yaml")}
	for _, name := range []string{"identityprovider.yaml", "connection_ssh.yaml", "accesspolicy_ssh.yaml"} {
		args = append(args, filepath.Join("..", "..", "config", "samples", name))
	}
	if out, err := call(t, args...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNoCases(t *testing.T) {
	_, err := call(t, "test", filepath.Join(shop, "objects.yaml"), filepath.Join(shop, "policies.yaml"))
	if err == nil || errors.Is(err, clipolicy.ErrTestsFailed) || !strings.Contains(err.Error(), "no case found") {
		t.Errorf("policies without cases: %v", err)
	}
}
