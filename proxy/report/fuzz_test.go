// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import "testing"

// FuzzDecode reads what any process with the proxy's rights may have written:
// whatever is taken speaks for its own key only.
func FuzzDecode(f *testing.F) {
	f.Add("shop-0", `{"instance":"shop-0","revision":7,"observedAt":"2026-10-01T00:00:00Z","nonce":"n"}`)
	f.Add("shop-0", `{"instance":"shop-1"}`)
	f.Add("shop-0", `{"instance":"shop-0","problems":[{"type":"Log"}]} x`)
	f.Add("", `null`)
	f.Fuzz(func(t *testing.T, key, text string) {
		got, err := Decode(key, text)
		switch {
		case err != nil && (got.Instance != "" || got.Problems != nil):
			t.Errorf("refused, but gave %+v", got)
		case err == nil && got.Instance != key:
			t.Errorf("instance %q was taken under key %q", got.Instance, key)
		case err == nil && len(text) > MaxBytes:
			t.Errorf("%d bytes were taken, limit %d", len(text), MaxBytes)
		}
	})
}
