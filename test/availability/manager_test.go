// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package availability

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const snapshotSecret = "doorward-" + stack.Connection + "-snapshot"

// published is what was seen of the snapshot Secret.
type published struct {
	mu        sync.Mutex // guards everything below
	revisions []int64
	contents  map[int64][sha256.Size]byte
	beat      string
	beatAt    time.Time // when the last new heartbeat was seen
	faults    []string
}

// follow watches the snapshot Secret until the test ends.
func follow(t *testing.T) *published {
	t.Helper()
	p := &published{contents: map[int64][sha256.Size]byte{}}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			t.Error(fault)
		}
	})
	watched(t, &corev1.SecretList{}, client.ObjectKey{Namespace: stack.Namespace, Name: snapshotSecret}, p.saw)
	return p
}

// watched shows each version of an object until the test ends.
func watched[T client.Object](t *testing.T, list client.ObjectList, key client.ObjectKey, saw func(T)) {
	t.Helper()
	watching, err := client.NewWithWatch(world.Control.Direct, client.Options{})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			events, err := watching.Watch(ctx, list, client.InNamespace(key.Namespace), client.MatchingFieldsSelector{
				Selector: fields.OneTermEqualSelector("metadata.name", key.Name),
			})
			if err != nil {
				continue
			}
			for event := range events.ResultChan() {
				if object, ok := event.Object.(T); ok && event.Type != watch.Deleted {
					saw(object)
				}
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// released watches the Lease from now on, and waits until its holder gave it up.
func released(t *testing.T) (wait func()) {
	t.Helper()
	holders := make(chan string, 1000)
	watched(t, &coordinationv1.LeaseList{}, leaseKey, func(lease *coordinationv1.Lease) {
		holders <- holderOf(lease)
	})
	next := func() string {
		select {
		case holder := <-holders:
			return holder
		case <-time.After(stacktest.Timeout):
			t.Fatal("the Lease was not released")
			return ""
		}
	}
	if next() == "" {
		t.Fatal("nobody leads")
	}
	return func() {
		t.Helper()
		for next() != "" {
		}
	}
}

// saw holds what is there against what was: revisions rise, and each has one content.
func (p *published) saw(secret *corev1.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	revision, err := revisionOf(secret.Data[snapshot.KeySnapshot])
	if err != nil {
		p.faults = append(p.faults, err.Error())
		return
	}
	if n := len(p.revisions); n > 0 && revision < p.revisions[n-1] {
		p.faults = append(p.faults, fmt.Sprintf("revision %d follows revision %d", revision, p.revisions[n-1]))
	}
	content := sha256.Sum256(secret.Data[snapshot.KeySnapshot])
	if known, found := p.contents[revision]; found && known != content {
		p.faults = append(p.faults, fmt.Sprintf("revision %d was published twice: two managers wrote", revision))
	}
	p.contents[revision] = content
	p.revisions = append(p.revisions, revision)
	if beat := string(secret.Data[snapshot.KeyHeartbeat]); beat != p.beat {
		p.beat, p.beatAt = beat, time.Now()
	}
}

func (p *published) last() (revision int64, beatAt time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.revisions) > 0 {
		revision = p.revisions[len(p.revisions)-1]
	}
	return revision, p.beatAt
}

func revisionOf(packed []byte) (int64, error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, fmt.Errorf("cannot unpack the snapshot: %w", err)
	}
	var content struct {
		Revision int64 `json:"revision"`
	}
	if err := json.NewDecoder(zip).Decode(&content); err != nil || content.Revision == 0 {
		return 0, fmt.Errorf("cannot read the snapshot's revision: %d, %w", content.Revision, err)
	}
	return content.Revision, nil
}

// change changes the Connection again and again until the test ends, so that there
// is always something to publish.
func change(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: stack.Connection}}
			patch := fmt.Sprintf(`{"spec":{"session":{"idleTimeoutSeconds":%d}}}`, 3000+i)
			if err := world.Admin.Patch(ctx, c, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// leaseKey is that of the Lease of the manager that leads.
var leaseKey = client.ObjectKey{Namespace: stack.OperatorNamespace, Name: "doorward-manager"}

// holder is the manager that leads.
func holder(ctx context.Context) (string, error) {
	var lease coordinationv1.Lease
	err := world.Admin.Get(ctx, leaseKey, &lease)
	return holderOf(&lease), err
}

// holderOf is who holds a Lease, nobody where empty.
func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// takesOver takes the leader away, and waits for another one to publish and to
// vouch for what is published.
func takesOver(t *testing.T, p *published, away func() error) (resumed time.Duration) {
	t.Helper()
	await(t, "a leader that publishes", func(context.Context) error {
		if _, at := p.last(); time.Since(at) > 2*time.Second {
			return errors.New("nothing is published")
		}
		return nil
	})
	before, err := holder(t.Context())
	must(t, err)
	must(t, away())
	gone := time.Now()
	was, _ := p.last()
	led := await(t, "another leader", func(ctx context.Context) error {
		now, err := holder(ctx)
		if err == nil && (now == before || now == "") {
			err = fmt.Errorf("the Lease is held by %q", now)
		}
		return err
	})
	await(t, "a new revision with its heartbeat", func(context.Context) error {
		revision, at := p.last()
		if revision <= was || at.Before(gone) {
			return fmt.Errorf("revision %d, heartbeat of %s before", revision, gone.Sub(at))
		}
		resumed = at.Sub(gone)
		return nil
	})
	t.Logf("another leader after %s, a new revision and its heartbeat after %s", led.Round(10*time.Millisecond), resumed.Round(10*time.Millisecond))
	return resumed
}

// TestManagerFailover kills the manager that leads, while there is much to publish,
// and then stops its follower: each time another goes on where it was, before any
// proxy would miss a heartbeat. What does not lead is ready and writes nothing.
func TestManagerFailover(t *testing.T) {
	p := follow(t)
	change(t)
	session := login(t, world.Proxy())
	second, err := world.AddManager(t.Context(), "manager-2")
	must(t, err)
	if took := takesOver(t, p, world.KillManager); took > maxStaleness*time.Second {
		t.Errorf("heartbeats resumed after %s, want less than %d s", took, maxStaleness)
	}
	session.Must(t, "SELECT 1")
	_, err = world.AddManager(t.Context(), "manager-3")
	must(t, err)
	awaitRelease := released(t)
	stop := func() error { return second.Signal(syscall.SIGTERM) }
	if took := takesOver(t, p, stop); took > maxStaleness*time.Second {
		t.Errorf("a leader that was stopped was followed after %s", took)
	}
	// Who is stopped does not leave the others to wait for the end of its Lease.
	awaitRelease()
	select {
	case <-second.Done():
	case <-time.After(stacktest.Timeout):
		t.Error("a manager that was stopped goes on")
	}
	session.Must(t, "SELECT 1")
}
