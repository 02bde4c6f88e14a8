// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// shortStaleness is the smallest bound that the API takes.
const shortStaleness = 30

// TestBeyondMaxStaleness leaves the proxy without proof of freshness for longer
// than spec.proxy.maxStalenessSeconds: it fails closed, and opens again by itself.
func TestBeyondMaxStaleness(t *testing.T) {
	former := setStaleness(t, shortStaleness)
	t.Cleanup(func() {
		if err := world.Control.Resume(); err != nil {
			t.Error(err)
		}
		setStaleness(t, former)
	})
	idle, terminal := login(t, alice), startPSQL(t, alice)
	idle.Must(t, "SELECT 1")
	if _, err := terminal.ask("SELECT 1;"); err != nil {
		t.Fatal(err)
	}
	if err := world.Control.CloseAPI(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), shortStaleness*time.Second+stacktest.Timeout)
	defer cancel()
	said, at, err := end(ctx, idle)
	if err != nil {
		t.Fatalf("the idle session did not end: %v", err)
	}
	wants(t, said, codeAdminShutdown, "maxStalenessSeconds")
	if said.Severity != "FATAL" {
		t.Errorf("severity is %q, want FATAL", said.Severity)
	}
	ended := at.Sub(began)
	// The last heartbeat was seen before the API server went away.
	if ended > shortStaleness*time.Second+within(time.Second) {
		t.Errorf("the session ended %s after the API server went away, want at most %d s", ended, shortStaleness)
	}
	if line, err := terminal.ask("SELECT 1;"); err == nil && !strings.Contains(line, "maxStalenessSeconds") {
		t.Errorf("psql is told %q, want the reason", line)
	}
	if err := terminal.quit(); err == nil {
		t.Error("psql goes on after its session has ended")
	}
	if _, err := dial(ctx, alice); err == nil {
		t.Error("a new session was let in beyond maxStaleness")
	} else {
		wants(t, refusal(t, err), codeCannotConnectNow, "maxStalenessSeconds", "kubectl")
	}
	if err := world.Control.Resume(); err != nil {
		t.Fatal(err)
	}
	var fresh *session
	back := await(t, "a new session after the return", func(ctx context.Context) (err error) {
		fresh, err = dial(ctx, alice)
		return err
	})
	fresh.Must(t, "SELECT count(*) FROM orders")
	fresh.Leave(t)
	t.Logf("maxStalenessSeconds %d: live sessions ended %s after the API server went away, new ones were let in %s after its return, without a restart",
		shortStaleness, ended.Round(time.Millisecond), back.Round(time.Millisecond))
}

// setStaleness changes the bound, waits until the proxy runs with it, and returns
// the former one.
func setStaleness(t *testing.T, seconds int32) (former int32) {
	t.Helper()
	object := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: stack.Connection}}
	change(t, object, func(c *v1alpha1.Connection) {
		former, c.Spec.Proxy.MaxStalenessSeconds = c.Spec.Proxy.MaxStalenessSeconds, seconds
	})
	await(t, "the new bound", func(ctx context.Context) error { return world.ShopRuns(ctx, object.Generation) })
	return former
}
