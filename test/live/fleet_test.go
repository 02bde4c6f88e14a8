// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// fleet are watchers that take snapshots as proxies do, each with a connection to the
// API server and the rights of its proxy's own ServiceAccount: what a proxy is but for
// its policy engine and its sessions.
type fleet struct {
	watchers []*watcher

	mu sync.Mutex // guards changed, and what the watchers have
	// changed is closed when the next snapshot arrives.
	changed chan struct{}
}

// watcher is one proxy's worth. It is the gate that snapshots come into force at.
type watcher struct {
	fleet *fleet
	name  string
	had   []arrival
}

// arrival is a snapshot that came into force.
type arrival struct {
	at       time.Time
	snapshot *snapshot.Snapshot
}

// Apply keeps a snapshot, with the time.
func (w *watcher) Apply(_ context.Context, s *snapshot.Snapshot) error {
	now := time.Now()
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	w.had = append(w.had, arrival{at: now, snapshot: s})
	close(w.fleet.changed)
	w.fleet.changed = make(chan struct{})
	return nil
}

// Heartbeat changes nothing: no session depends on it.
func (*watcher) Heartbeat(time.Duration) {}

// revisions keeps what a proxy keeps on its disk.
type revisions struct {
	mu      sync.Mutex
	highest map[string]int64
}

func (r *revisions) Get(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.highest[name]
}

func (r *revisions) Raise(name string, value int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.highest[name] = max(r.highest[name], value)
	return r.highest[name], nil
}

// startFleet runs one watcher for each name of a Connection until the test ends, and
// waits until each has a snapshot.
func startFleet(t *testing.T, connections ...string) *fleet {
	t.Helper()
	f := &fleet{changed: make(chan struct{})}
	key := snapshotKey(t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for _, name := range connections {
		w := &watcher{fleet: f, name: name}
		f.watchers = append(f.watchers, w)
		api := proxyClient(t, name)
		snapshots := &kube.Snapshots{
			Client: api, Namespace: stack.Namespace, Name: name, Key: key, Gate: w, Revisions: &revisions{highest: map[string]int64{}},
			Recorder: gateway.Forgetful{}, Problems: kube.NewProblems(), Log: logr.Discard(),
		}
		running.Go(func() {
			snapshots.Run(ctx)
			api.Close()
		})
	}
	f.await(t, time.Time{}, func(*snapshot.Snapshot) bool { return true })
	return f
}

// snapshotKey is the public key that proxies are enrolled with.
func snapshotKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	var object corev1.ConfigMap
	stacktest.Must(t, world.Admin.Get(t.Context(), client.ObjectKey{Namespace: stack.OperatorNamespace, Name: enrol.KeyConfigMapName}, &object))
	key, err := base64.StdEncoding.DecodeString(object.Data[enrol.KeyConfigMapKey])
	stacktest.Must(t, err)
	return key
}

// proxyClient is the API server for the ServiceAccount of a Connection's proxies.
func proxyClient(t *testing.T, connection string) *kube.Client {
	t.Helper()
	admin, err := kubernetes.NewForConfig(world.Control.Direct)
	stacktest.Must(t, err)
	seconds := int64((12 * time.Hour).Seconds())
	var token *authenticationv1.TokenRequest
	stacktest.Await(t, "the ServiceAccount of "+connection, func(ctx context.Context) (err error) {
		token, err = admin.CoreV1().ServiceAccounts(stack.Namespace).CreateToken(ctx, "doorward-"+connection,
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
		return err
	})
	config := world.Control.TokenConfig(token.Status.Token)
	config.Host = world.Control.Direct.Host
	api, err := kube.NewClient(config, nil)
	stacktest.Must(t, err)
	return api
}

// await waits until each watcher has had, at some time since, a snapshot that is as it
// should be, and returns when each had its first. It forgets what came before.
func (f *fleet) await(t *testing.T, since time.Time, holds func(*snapshot.Snapshot) bool) []time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	for {
		times, missing, changed := f.look(since, holds)
		if len(missing) == 0 {
			return times
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the change has not reached %d of %d watchers: %v", len(missing), len(f.watchers), missing)
		}
	}
}

func (f *fleet) look(since time.Time, holds func(*snapshot.Snapshot) bool) (times []time.Time, missing []string, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.watchers {
		for len(w.had) > 0 && w.had[0].at.Before(since) {
			w.had = w.had[1:]
		}
		found := false
		for _, a := range w.had {
			if found = holds(a.snapshot); found {
				times = append(times, a.at)
				break
			}
		}
		if !found {
			missing = append(missing, fmt.Sprintf("%s (%d snapshots)", w.name, len(w.had)))
		}
	}
	return times, missing, f.changed
}
