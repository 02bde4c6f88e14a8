// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connection makes of a Connection what its proxies need: the published
// snapshot, a serving certificate, rights, and in Managed placement the workload
// itself.
package connection

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/publish"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Options of a Reconciler. All are needed unless said otherwise.
type Options struct {
	// Client reads Secrets and ConfigMaps from the API server and the rest from
	// caches.
	Client client.Client
	// Metadata reads PartialObjectMetadata from caches.
	Metadata client.Reader
	// Publisher writes snapshots.
	Publisher *publish.Publisher
	// Authority signs serving certificates, HostAuthority SSH host certificates.
	Authority, HostAuthority *ca.Store
	// Portal is the login portal; zero where there is none.
	Portal Portal
	// MaskKey derives the key of a Connection's masks.
	MaskKey func(uid types.UID) (snapshot.MaskKey, error)
	// Namespace is the operator's own, where LogSinks have their Secrets.
	Namespace string
	// Namespaces are those that caches hold objects of; empty for all.
	Namespaces []string
	// ConfigMaps reads those that Connections and policies refer to.
	ConfigMaps *kit.ConfigMaps
	// Deliveries hears how proxies deliver their records; may be nil.
	Deliveries Deliveries
	// Live reads from the API server what caches hold only the metadata of.
	Live client.Reader
	// DirectWay tries the way round the proxies; nil where nobody does. Each event on
	// Tried, which may be nil, names a Connection for which something else came of it.
	DirectWay DirectWay
	Tried     <-chan event.GenericEvent
	// Protocols are the protocols that proxies of this version speak.
	Protocols compile.Protocols
	// CheckModule says what is wrong with a policy's module of Rego, and which claims it reads;
	// may be nil.
	CheckModule func(ctx context.Context, text string) (claims []string, err error)
	// Audits hears what policies in mode Audit would have changed; may be nil.
	Audits Audits
	// Events tells users what happened.
	Events events.EventRecorder
	// Image is the container image of Managed proxies.
	Image string
	// Pods are settings of their pods; may be empty.
	Pods PodSettings
	// SnapshotKey is the public key that proxies verify snapshots with, base64.
	SnapshotKey string
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Deliveries hears what the live proxies of a Connection report.
type Deliveries interface {
	Observe(connection types.NamespacedName, reports []report.Report)
	// Forget says that the Connection is gone.
	Forget(connection types.NamespacedName)
}

// Audits hears what live proxies of a Connection report of policies in mode Audit. Policies
// are those that the Connection is compiled of.
type Audits interface {
	Observe(connection types.NamespacedName, reports []report.Report, policies policy.Set)
}

// DirectWay tries the way round the proxies, see package directway.
type DirectWay interface {
	Want(connection types.NamespacedName, target directway.Target)
	Forget(connection types.NamespacedName)
	Result(connection types.NamespacedName) (directway.Result, bool)
}

// Reconciler reconciles Connections.
type Reconciler struct {
	Options
	applier *kit.Applier
	reports *tracker
	// memory is of what was read for a Connection, lookups of what is around its target.
	memory, lookups *kit.Memory
	proxies         *proxyPods
	turns           *turns
	rest            rest
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{
		Options: options, applier: kit.NewApplier(options.Client, options.Metadata), reports: newTracker(),
		memory: kit.NewMemory(0), lookups: kit.NewMemory(0), proxies: newProxyPods(), turns: newTurns(),
	}
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	connection *v1alpha1.Connection
	patcher    *kit.Patcher
	now        time.Time

	world        compile.World            // gather
	result       compile.ConnectionResult // compile
	outcome      publish.Outcome          // publish
	narrowed     error                    // publish: why less than result is published
	bundle       []byte                   // trust
	hosts        []byte                   // trust: the SSH host authorities
	renewAt      time.Time                // certificate
	refused      error                    // certificate: names that may not be signed
	durable      kit.Verdict              // sinks
	surroundings surroundings             // isolate
	// secretFound says whether the credential Secret exists; observe.
	secretFound bool
	// live are the proxies, gone those whose reports are pruned now; observe.
	live, gone []observed

	reached map[string]bool // steps that ended well
}

// Reconcile runs the steps in order and writes the status of all of them. Publishing is
// among them, so that the status speaks of what is published now; where an edit is to
// reach many Connections, Publish has mostly been there before.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	defer r.turns.take(request.NamespacedName)()
	s, err := r.begin(ctx, request)
	if s == nil {
		return ctrl.Result{}, err
	}
	runErr := r.run(ctx, s, append(r.publishing(),
		r.step("trust", "publish the trust bundle", r.trust),
		r.step("certificate", "issue the serving certificate", r.certificate),
		r.step("rights", "give the proxies their rights", r.rights),
		r.step("isolate", "isolate the target", r.isolate),
		r.step("workload", "run the proxies", r.workload),
		r.step("observe", "observe the proxies", r.observe),
		r.step("sinks", "give the proxies the credentials of the LogSinks", r.sinks),
	)...)
	r.writeStatus(s, runErr)
	if err := s.patcher.PatchStatus(ctx, s.connection); err != nil && runErr == nil {
		runErr = err
	}
	return outcome(runErr, r.after(s))
}

// begin reads the Connection, and forgets one that is gone: there is no scope of it.
func (r *Reconciler) begin(ctx context.Context, request ctrl.Request) (*scope, error) {
	connection := &v1alpha1.Connection{}
	if err := r.Client.Get(ctx, request.NamespacedName, connection); err != nil {
		if apierrors.IsNotFound(err) {
			r.Publisher.Forget(request.NamespacedName)
			r.reports.forget(request.NamespacedName)
			r.memory.Forget(request.NamespacedName)
			if r.Deliveries != nil {
				r.Deliveries.Forget(request.NamespacedName)
			}
			r.forgetIsolation(request.NamespacedName)
			return nil, nil
		}
		return nil, fmt.Errorf("cannot read Connection: %w", err)
	}
	if connection.DeletionTimestamp != nil {
		r.Publisher.Forget(request.NamespacedName)
		r.forgetIsolation(request.NamespacedName)
		return nil, nil
	}
	return &scope{connection: connection, patcher: kit.NewPatcher(r.Client, connection), now: r.Now(), reached: map[string]bool{}}, nil
}

// publishing are the steps by which an edit reaches the proxies.
func (r *Reconciler) publishing() []kit.Step[scope] {
	return []kit.Step[scope]{
		r.step("gather", "gather what the Connection is compiled from", r.gather),
		r.step("compile", "compile", r.compile),
		r.step("publish", "publish the snapshot", r.publish),
	}
}

// run runs steps of which publishing are the first.
func (r *Reconciler) run(ctx context.Context, s *scope, steps ...kit.Step[scope]) error {
	err := kit.Run(ctx, s, steps...)
	if !s.reached["publish"] {
		// Whatever the reason, the manager does not know that the published
		// snapshot is the present state, and must not vouch for it.
		r.Publisher.Suspend(key(s))
	}
	return err
}

// outcome is what controller-runtime is told.
func outcome(err error, after time.Duration) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		// Somebody wrote meanwhile, or the cache does not hold our own last write
		// yet: a newer run is due, and nothing is wrong. It must not wait for long,
		// since a revocation may be what it publishes.
		return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
	}
	return kit.Result(err, after)
}

func (r *Reconciler) step(key, name string, run func(context.Context, *scope) error) kit.Step[scope] {
	return kit.Step[scope]{Name: name, Run: func(ctx context.Context, s *scope) error {
		if err := run(ctx, s); err != nil {
			return err
		}
		s.reached[key] = true
		return nil
	}}
}

// after says when the world changes without an event.
func (r *Reconciler) after(s *scope) time.Duration {
	after := 10 * time.Minute
	for _, o := range s.live {
		after = min(after, o.staleAt.Sub(s.now)+time.Second)
	}
	if s.connection.Spec.Isolation != nil && managed(s.connection) {
		if result, tried := r.direct(s); tried && s.now.Before(result.Until) {
			after = min(after, result.Until.Sub(s.now)+time.Second)
		}
	}
	if !s.renewAt.IsZero() {
		after = min(after, s.renewAt.Sub(s.now))
	}
	return max(after, time.Second)
}

func (r *Reconciler) event(s *scope, kind, reason, action, note string, args ...any) {
	if r.Events != nil {
		r.Events.Eventf(s.connection, nil, kind, reason, action, note, args...)
	}
}

func (r *Reconciler) warn(s *scope, reason, action, note string, args ...any) {
	r.event(s, corev1.EventTypeWarning, reason, action, note, args...)
}

func key(s *scope) types.NamespacedName { return client.ObjectKeyFromObject(s.connection) }
