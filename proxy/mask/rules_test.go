// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask_test

import (
	"testing"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
)

func TestStricter(t *testing.T) {
	t.Parallel()
	redact, keep := policy.Method{Type: policy.Redact}, policy.Method{Type: policy.KeepLast, KeepLast: 2}
	if mask.Stricter(redact, keep) != redact || mask.Stricter(keep, redact) != redact {
		t.Error("Redact shows less than KeepLast")
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	field, content := policy.Mask{Fields: []string{"public.t.email"}}, policy.Mask{Detect: []string{"Email"}}
	for name, tc := range map[string]struct {
		masks []policy.Mask
		want  bool
	}{"None": {nil, false}, "Field": {[]policy.Mask{field}, true}, "Content": {[]policy.Mask{content}, false}, "Both": {[]policy.Mask{content, field}, true}} {
		if got := mask.Compile(tc.masks, mask.Key{}).Named(); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	email := policy.Mask{Name: "a", Fields: []string{"public.t.email"}, Method: policy.Method{Type: policy.Redact}}
	renamed, other, derived := email, email, email
	renamed.Name = "b"
	other.Fields = []string{"public.t.phone"}
	derived.Derived = policy.MaskDerived
	found := policy.Mask{Detect: []string{"Email"}, Method: policy.Method{Type: policy.Redact}}
	phones := policy.Mask{Detect: []string{"Phone"}, Method: policy.Method{Type: policy.Redact}}
	for name, tc := range map[string]struct {
		reason string
		a, b   []policy.Mask
		want   bool
	}{
		"None":      {"nothing is masked", nil, nil, true},
		"Renamed":   {"names mask nothing", []policy.Mask{email}, []policy.Mask{renamed}, true},
		"Fewer":     {"", []policy.Mask{email}, nil, false},
		"Other":     {"another field", []policy.Mask{email}, []policy.Mask{other}, false},
		"Derived":   {"more is allowed", []policy.Mask{email}, []policy.Mask{derived}, false},
		"Detectors": {"other content", []policy.Mask{found}, []policy.Mask{phones}, false},
		"Same":      {"the same content", []policy.Mask{found}, []policy.Mask{found}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mask.Compile(tc.a, mask.Key{}).Alike(mask.Compile(tc.b, mask.Key{})); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}
