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
		Sinks: []Sink{
			{Name: "archive", Reachable: true, AcknowledgedAt: time.Unix(1700000001, 0).UTC()},
			{Name: "siem", Lag: 12, Error: "connection refused", Missed: 3},
		},
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

// An instance whose report is missing counts as gone, so that a long word of a
// sink must not keep it from reporting.
func TestEncodeShortensErrors(t *testing.T) {
	r := Report{Instance: "shop-0"}
	for range MaxSinks {
		r.Sinks = append(r.Sinks, Sink{Name: strings.Repeat("s", 253), Error: strings.Repeat("<", MaxSinkError)})
	}
	text, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode("shop-0", text)
	if err != nil || len(got.Sinks) != MaxSinks || got.Sinks[0].Error == "" {
		t.Errorf("%d sinks, %v: want all, each with the beginning of its error", len(got.Sinks), err)
	}
	if len(r.Sinks[0].Error) != MaxSinkError {
		t.Error("the caller's report was changed")
	}
}

// Nor must many policies.
func TestEncodeShortensAudits(t *testing.T) {
	r := Report{Instance: "shop-0"}
	for range MaxSinks {
		r.Sinks = append(r.Sinks, Sink{Name: strings.Repeat("s", 253), Error: strings.Repeat("e", MaxSinkError)})
	}
	for i := range MaxAudits {
		r.Audits = append(r.Audits, Audit{Policy: strings.Repeat("p", 253), UID: strings.Repeat("u", 36), Generation: 1 << 60, Deny: 1<<60 - int64(i)})
	}
	text, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode("shop-0", text)
	if err != nil || len(got.Sinks) != MaxSinks || len(got.Audits) == 0 || got.Audits[0] != r.Audits[0] {
		t.Errorf("%d sinks, %d counts, %v: want all sinks and the largest counts", len(got.Sinks), len(got.Audits), err)
	}
	r.Sinks = nil
	if text, err = Encode(r); err != nil {
		t.Fatal(err)
	}
	if got, err = Decode("shop-0", text); err != nil || len(got.Audits) != MaxAudits {
		t.Errorf("%d counts, %v: want all", len(got.Audits), err)
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
