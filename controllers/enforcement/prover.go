// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enforcement

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/config/admission"
)

// checkEvery is how often the proof is repeated without a cause.
const checkEvery = 30 * time.Second

// Options of a Prover. All are needed unless said otherwise.
type Options struct {
	// Client reads and writes at the API server, not in a cache.
	Client client.Client
	// ManagerUser is the manager's Kubernetes user name.
	ManagerUser string
	// Namespace is the operator's, where the interval is kept.
	Namespace string
	// ProbeNamespace is where forged requests are sent: one the manager may
	// create ApprovalRequests in.
	ProbeNamespace func(context.Context) (string, error)
	// MACKey makes the kept interval unforgeable.
	MACKey []byte
	// Changed is called when an interval begins or ends; may be nil.
	Changed func()
}

// Prover keeps the interval. It is safe for concurrent use.
type Prover struct {
	Options
	compiled []client.Object

	mu       sync.Mutex // guards what follows; held over a proof, so that proofs are in order
	interval interval
	broken   bool // the interval was interrupted under an unchanged fingerprint, perhaps

	// proven says whether there is an interval.
	proven  atomic.Bool
	flights flights
}

// interval is a proven one; the zero value is none. Since is by the API server's
// clock, UID that of the object that keeps it.
type interval struct {
	Fingerprint string
	Since       time.Time
	UID         types.UID
}

// New makes a Prover.
func New(options Options) (*Prover, error) {
	compiled, err := admission.Objects(options.ManagerUser)
	if err != nil {
		return nil, fmt.Errorf("cannot prove enforcement: %w", err)
	}
	return &Prover{Options: options, compiled: compiled}, nil
}

// Believe proves enforcement now, for this very request, and says whether it
// may be believed, with all that is in it: whether the interval has not been
// interrupted since before the request was created. The error wraps
// ErrNotEnforced where it may not; that verdict is final. Any other error says
// nothing about the request.
//
// Creation times have whole seconds, so that a request of the very second in
// which the interval began is not believed.
func (p *Prover) Believe(ctx context.Context, request *v1alpha1.ApprovalRequest) error {
	proven, err := p.shared(ctx)
	if err != nil {
		return err
	}
	if err := probeDecision(ctx, p.Client, request); err != nil {
		if errors.Is(err, ErrNotEnforced) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.end(ctx)
		}
		return err
	}
	if !p.stands(proven) {
		return errors.New("cannot prove that admission is enforced: it was interrupted meanwhile")
	}
	if !request.CreationTimestamp.After(proven.Since) {
		return fmt.Errorf("%w: it is proven since %s only, which is not before the request was made", ErrNotEnforced, proven.Since.UTC().Format(time.RFC3339))
	}
	return nil
}

// Check proves enforcement now.
func (p *Prover) Check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prove(ctx)
}

// prove looks at the live objects and sends a forged request. It begins, goes on
// with or ends the interval.
func (p *Prover) prove(ctx context.Context) error {
	live, err := fingerprint(ctx, p.Client, p.compiled)
	if err != nil {
		if errors.Is(err, ErrNotEnforced) {
			p.end(ctx)
		}
		return err
	}
	namespace, err := p.ProbeNamespace(ctx)
	if err != nil {
		return fmt.Errorf("cannot find a namespace to prove enforcement in: %w", err)
	}
	if err := probeCreate(ctx, p.Client, namespace); err != nil {
		if errors.Is(err, ErrNotEnforced) {
			p.end(ctx)
		}
		return err
	}
	// The objects may have been changed while the probe was under way.
	again, err := fingerprint(ctx, p.Client, p.compiled)
	if err != nil && !errors.Is(err, ErrNotEnforced) {
		// Nothing was found out: what was proven before stands.
		return err
	}
	if err != nil || again != live {
		p.end(ctx)
		return errors.Join(fmt.Errorf("%w: the policies changed while they were proven", ErrNotEnforced), err)
	}
	if p.interval.Fingerprint == live {
		return nil
	}
	kept, err := p.keep(ctx, live)
	if err != nil {
		return err
	}
	p.interval, p.broken = kept, false
	p.tell()
	return nil
}

// end ends the interval, whatever the fingerprint will be: a kept one must not
// be taken up again.
func (p *Prover) end(ctx context.Context) {
	p.broken = true
	p.drop(ctx)
	if p.interval.Fingerprint == "" {
		return
	}
	logr.FromContextOrDiscard(ctx).Info("Admission is not enforced any more; requests are void until it is")
	p.interval = interval{}
	p.tell()
}

// Proven says whether enforcement was proven when it was last tried. It waits
// for nobody.
func (p *Prover) Proven() bool { return p.proven.Load() }

func (p *Prover) tell() {
	p.proven.Store(p.interval.Fingerprint != "")
	if p.Changed != nil {
		p.Changed()
	}
}

// Start proves regularly until the context ends.
func (p *Prover) Start(ctx context.Context) error {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		if err := p.Check(ctx); err != nil && ctx.Err() == nil {
			logr.FromContextOrDiscard(ctx).Error(err, "Cannot prove that admission is enforced")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// NeedLeaderElection makes the manager run Start on the leader only.
func (p *Prover) NeedLeaderElection() bool { return true }
