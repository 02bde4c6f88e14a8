// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/witness"
)

const (
	// submitEvery is the least time between two submissions.
	submitEvery = time.Second
	// submitAgain is when one that the witness has not taken is put again: who may
	// write the ConfigMap may have put an older one in its place.
	submitAgain = 30 * time.Second
	// witnessLast bounds how long the end of the log may take to get to the witness.
	witnessLast = 4 * time.Second
)

// WitnessedLog is a log's side of its witness: see spool.Witness.
type WitnessedLog interface {
	// Changed is closed when there is a newer checkpoint than at the call.
	Changed() <-chan struct{}
	// Latest is the newest checkpoint; false where there is none yet.
	Latest() (tree.Checkpoint, bool)
	// Submission is what to submit to a witness that holds the given tree.
	Submission(held tlog.Tree) (witness.Submission, error)
	// Acknowledged says that the witness holds a tree.
	Acknowledged(held tlog.Tree) error
}

// WitnessOptions are all needed.
type WitnessOptions struct {
	Client   *Client
	Instance string
	// Log is the log that is shown, Keys its keys up to now.
	Log  WitnessedLog
	Keys func() *tree.Keys
	// IsConflict says whether an error of Log means that it does not continue
	// what the witness holds; IsGone, whether that cannot be told any more, because
	// the witness held more before, up to which records were deleted.
	IsConflict, IsGone func(error) bool
	Logger             logr.Logger
}

// Witness shows the checkpoints of the log to the witness, which is the manager,
// in each namespace that has Connections of this proxy. Only the newest is ever
// shown, so that nothing piles up while the API server or the manager is away.
//
// A log that conflicts with what the witness holds is shown all the same, and
// reported as a problem: it is not for the proxy to hide it, nor to stop serving
// because of it.
type Witness struct {
	options WitnessOptions
	sites   []*witnessSite

	mu sync.Mutex // guards acknowledged and what the sites hold
	// acknowledged is how much all witnesses are known to hold.
	acknowledged int64
}

// NewWitness makes a Witness. Serve is called for each Connection before Run.
func NewWitness(options WitnessOptions) *Witness { return &Witness{options: options} }

// Serve names a Connection of this proxy, and where its problems are reported.
func (w *Witness) Serve(namespace, connection string, problems *Problems) {
	at := slices.IndexFunc(w.sites, func(s *witnessSite) bool { return s.namespace == namespace })
	if at < 0 {
		at = len(w.sites)
		w.sites = append(w.sites, &witnessSite{
			witness: w, namespace: namespace, connections: map[string]*Problems{}, woken: make(chan struct{}, 1),
			log: w.options.Logger.WithValues("namespace", namespace),
		})
	}
	w.sites[at].connections[connection] = problems
}

// Run shows checkpoints until ctx ends, and then until the last one is held or
// it has taken too long.
func (w *Witness) Run(ctx context.Context) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var following, showing sync.WaitGroup
	for _, s := range w.sites {
		following.Go(func() { s.follow(inner) })
		showing.Go(func() { s.show(inner, ctx.Done()) })
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showing.Wait()
	}()
	select {
	case <-shown:
	case <-ctx.Done():
		last := time.NewTimer(witnessLast)
		defer last.Stop()
		select {
		case <-shown:
		case <-last.C:
			w.options.Logger.Info("The witness has not taken the end of the log yet", "waited", witnessLast.String())
		}
	}
	cancel()
	<-shown
	following.Wait()
}

// acknowledge passes on what the witnesses of all namespaces hold: the least.
func (w *Witness) acknowledge() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var least tlog.Tree
	for i, s := range w.sites {
		if i == 0 || s.held.tree.N < least.N {
			least = s.held.tree
		}
	}
	if least.N <= w.acknowledged {
		return nil
	}
	if err := w.options.Log.Acknowledged(least); err != nil {
		return err
	}
	w.acknowledged = least.N
	return nil
}
