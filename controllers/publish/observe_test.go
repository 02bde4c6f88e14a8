// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"crypto/ed25519"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestAlive: a manager whose heartbeats stand still is stuck; one that does not
// lead, or whose API server is away, is not.
func TestAlive(t *testing.T) {
	now := time.Unix(1800000000, 0)
	p := New(nil, nil, nil)
	p.now = func() time.Time { return now }
	check := func(reason string, alive bool) {
		t.Helper()
		if err := p.Alive(); (err == nil) != alive {
			t.Errorf("%s: %v", reason, err)
		}
	}
	check("a manager that does not lead has no heartbeats", true)
	p.pulse()
	now = now.Add(stuckAfter)
	check("as long as all heartbeats in a row may take", true)
	now = now.Add(time.Second)
	check("heartbeats that stand still", false)
	p.pulse()
	check("they go on", true)
	p.rest()
	now = now.Add(time.Hour)
	check("a manager that leads no more", true)
}

// TestOneHeartbeatIsBounded: whatever the API server does, one attempt ends long
// before the process is taken for stuck.
func TestOneHeartbeatIsBounded(t *testing.T) {
	if stuckAfter < 4*beatTimeout {
		t.Errorf("stuck after %v, one heartbeat takes up to %v", stuckAfter, beatTimeout)
	}
}

// counter is an Observer that counts; heartbeats go out side by side.
type counter struct{ beats, failed atomic.Int64 }

func (*counter) Published(time.Duration, bool, error) {}

func (c *counter) Beat(err error) {
	c.beats.Add(1)
	if err != nil {
		c.failed.Add(1)
	}
}

// TestHeartbeatsGoOnWithoutTheAPIServer: an API server that takes nothing makes
// heartbeats fail, and no manager stuck.
func TestHeartbeatsGoOnWithoutTheAPIServer(t *testing.T) {
	away := func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
		return errBoom
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, counted := New(interceptor.NewClient(fake.NewFakeClient(), interceptor.Funcs{
		Apply: away,
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errBoom
		},
	}), nil, key), &counter{}
	p.Observe(counted)
	now := time.Unix(1800000000, 0)
	p.now = func() time.Time { return now }
	p.pulse()
	for _, name := range []string{"a", "b"} {
		p.lives[types.NamespacedName{Namespace: "data", Name: name}] = &life{uid: "u", held: &held{uid: "s"}, revision: 1, beating: true, every: time.Second}
	}
	now = now.Add(2 * stuckAfter)
	p.beatAll(t.Context())
	if beats, failed := counted.beats.Load(), counted.failed.Load(); beats != 2 || failed != 2 {
		t.Errorf("%d heartbeats, %d failed; want 2 of 2", beats, failed)
	}
	if err := p.Alive(); err != nil {
		t.Errorf("an API server that is away makes the manager stuck: %v", err)
	}
}
