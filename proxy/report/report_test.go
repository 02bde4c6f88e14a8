// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	want := Report{
		Instance: "shop-0", Revision: 7, ObservedAt: time.Unix(1700000000, 0).UTC(), Nonce: "n",
		Problems: []Problem{{Type: "CredentialAvailable", Reason: "KeyMissing", Message: "add the key"}},
	}
	text, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode("shop-0", text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The manager makes the ConfigMap, and the right to it, by the name that the
// proxy looks for.
func TestConfigMapName(t *testing.T) {
	if got := ConfigMapName("shop"); got != "doorward-shop-proxies" {
		t.Errorf("%q: proxies of other versions look elsewhere", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]struct {
		reason string
		key    string
		text   string
	}{
		"ForeignKey": {"An instance must not speak for another.", "b", `{"instance":"a"}`},
		"NotJSON":    {"What is no report is no report.", "a", "x"},
		"TooLong":    {"An entry is bounded.", "a", `{"instance":"` + strings.Repeat("a", MaxBytes) + `"}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode(tc.key, tc.text); err == nil {
				t.Errorf("%s: no error", tc.reason)
			}
		})
	}
}
