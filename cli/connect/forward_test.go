// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestPortForward connects to a proxy whose name only the cluster knows.
func TestPortForward(t *testing.T) {
	const name = "inner"
	stacktest.Inside(t, world, name)
	t.Run("Client", func(t *testing.T) {
		out, err := plugin(t, "connect", name, "--namespace", stack.Namespace, "--", "-X", "-At", "-c", "SELECT 'forwarded'")
		if err != nil || !strings.Contains(out, "forwarded") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("Never", func(t *testing.T) {
		out, err := plugin(t, "connect", name, "--namespace", stack.Namespace, "--port-forward", "never", "--", "-X", "-c", "SELECT 1")
		if err == nil || !strings.Contains(out, "could not translate host name") {
			t.Errorf("want psql's own error, got %v: %s", err, out)
		}
	})
	t.Run("NotPermitted", func(t *testing.T) {
		out, err := pluginOf(t, "alice", "connect", name, "--namespace", stack.Namespace, "--", "-X", "-c", "SELECT 1")
		if err == nil || !strings.Contains(out, "services \"inner\" is forbidden") {
			t.Errorf("want which right is missing, got %v: %s", err, out)
		}
	})
}
