// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import "testing"

// TestReserved: checklist 41. No Connection or sink has the manager's own keys sent to its
// target.
func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{
		"doorward-ca": true, "doorward-ssh-host-ca": true, "doorward-snapshot-key": true, "doorward-witness-key": true,
		"doorward-mask-key": true, "doorward-login-key": true, "doorward-shop-serving": true, "doorward-shop-snapshot": true,
		"doorward-shop-sinks": true, "shop-credential": false, "ssh-host-ca": false,
	} {
		if got := reserved(name); got != want {
			t.Errorf("reserved(%q) = %t, want %t", name, got, want)
		}
	}
}
