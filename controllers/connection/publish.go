// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/controllers/kit"
)

// Publish runs the first steps of Reconcile, and no others: it has workers of its own,
// so that an edit waits for nothing that is done for other Connections. It leaves what
// else comes of the edit to Reconcile, the revision in the status among it.
func (r *Reconciler) Publish(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	defer r.turns.take(request.NamespacedName)()
	s, err := r.begin(ctx, request)
	if s == nil {
		return ctrl.Result{}, err
	}
	before := revision(s.connection)
	runErr := r.run(ctx, s, r.publishing()...)
	if c := s.connection; runErr != nil || revision(c) != before || !kit.Says(c.Status.Conditions, c.Generation, accepted(s, runErr), published(s, runErr)) {
		r.rest.enqueue(request)
	}
	return outcome(runErr, 0)
}

// restPause is how much later than its publication the rest of a Connection is looked at.
// It makes one look of several events, leaves the API server to the snapshots of an edit
// that touches many, and lets the proxies take theirs before they are said to be behind.
const restPause = time.Second

// rest is the queue of Reconcile.
type rest struct {
	mu    sync.Mutex // guards queue
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Start implements source.Source: it is told the queue.
func (r *rest) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = queue
	return nil
}

// enqueue has a Connection reconciled. Before there is a queue, all are going to be.
func (r *rest) enqueue(request reconcile.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queue != nil {
		r.queue.AddAfter(request, restPause)
	}
}

// turns has what is done about one Connection done in turn: whoever gathers after
// another has at least what the other had, and publishes nothing older.
type turns struct {
	mu  sync.Mutex // guards all
	all map[types.NamespacedName]*turn
}

type turn struct {
	mu    sync.Mutex
	users int // guarded by the mutex of turns
}

func newTurns() *turns { return &turns{all: map[types.NamespacedName]*turn{}} }

// take waits for the Connection's turn, and returns what ends it.
func (t *turns) take(connection types.NamespacedName) (done func()) {
	t.mu.Lock()
	one := t.all[connection]
	if one == nil {
		one = &turn{}
		t.all[connection] = one
	}
	one.users++
	t.mu.Unlock()
	one.mu.Lock()
	return func() {
		one.mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		one.users--
		if one.users == 0 {
			delete(t.all, connection)
		}
	}
}
