// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logsink says whether a LogSink can be used, and how proxies get along
// with it. Proxies do the sending.
package logsink

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/sinksecret"
)

const (
	// writeEvery is how often the status is written while no condition changes:
	// lags change with every record.
	writeEvery = 5 * time.Second
	// settle bounds how long a manager that has just started waits for the reports
	// of all Connections before it says what they come to.
	settle = 30 * time.Second
	// gather is how long reports are gathered before they are summed up.
	gather = time.Second
)

// Options of a Reconciler. All are needed unless said otherwise.
type Options struct {
	// Client reads Secrets from the API server and the rest from caches.
	Client client.Client
	// Namespace is the operator's own, where sinks have their Secrets.
	Namespace string
	// Deliveries is what proxies report.
	Deliveries *Deliveries
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Reconciler reconciles LogSinks.
type Reconciler struct {
	Options
	started time.Time

	mu      sync.Mutex // guards written
	written map[string]time.Time
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{Options: options, started: options.Now(), written: map[string]time.Time{}}
}

// Reconcile judges one sink and sums up what proxies report of it.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	sink := &v1alpha1.LogSink{}
	if err := r.Client.Get(ctx, request.NamespacedName, sink); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.Name)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read LogSink: %w", err)
	}
	var connections v1alpha1.ConnectionList
	if err := r.Client.List(ctx, &connections); err != nil {
		return ctrl.Result{}, fmt.Errorf("cannot list Connections: %w", err)
	}
	before := sink.DeepCopy()
	patcher := kit.NewPatcher(r.Client, sink)
	verdict, err := r.judge(ctx, sink)
	if err != nil {
		return ctrl.Result{}, err
	}
	verdict = accepted(verdict, compile.LeftOut(sink, connections.Items))

	now := r.Now()
	var again time.Duration
	if now.Sub(r.started) < settle && !r.Deliveries.heardOf(names(connections.Items)) {
		writeConditions(sink, verdict, lastReachable(before))
		again = time.Second
	} else {
		writeStatus(sink, verdict, r.Deliveries.of(sink.Name), now)
	}
	if wait := r.pause(sink.Name, now); wait > 0 && !changed(before, sink) {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	err = patcher.PatchStatus(ctx, sink)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
	}
	if err == nil && sink.ResourceVersion != before.ResourceVersion {
		r.note(sink.Name, now)
	}
	return kit.Result(err, again)
}

// judge says whether the sink can be used. A Secret that cannot be read is no
// fault of the sink.
func (r *Reconciler) judge(ctx context.Context, sink *v1alpha1.LogSink) (kit.Verdict, error) {
	sinks := []v1alpha1.LogSink{*sink}
	secrets, err := sinksecret.Read(ctx, r.Client, r.Namespace, sinks)
	if err != nil {
		return kit.Verdict{}, err
	}
	_, verdicts := compile.Sinks(sinks, secrets.Known())
	return verdicts[sink.Name], nil
}

// pause is how long the next write of the status has to wait.
func (r *Reconciler) pause(name string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.written[name]
	if !ok {
		return 0
	}
	return last.Add(writeEvery).Sub(now)
}

func (r *Reconciler) note(name string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written[name] = now
}

func (r *Reconciler) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.written, name)
}

// SetupWithManager watches sinks, their Secrets as metadata, the Connections, and
// what proxies report.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	onSpec := builder.WithPredicates(kit.SpecChanged())
	return ctrl.NewControllerManagedBy(mgr).Named("logsink").
		For(&v1alpha1.LogSink{}, onSpec).
		Watches(&v1alpha1.Connection{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySecret), builder.OnlyMetadata, builder.WithPredicates(kit.In(r.Namespace))).
		WatchesRawSource(source.Channel(r.Deliveries.changed, handler.Funcs{GenericFunc: r.soon})).
		Complete(r)
}

// soon gathers reports: all that come within gather make one run.
func (r *Reconciler) soon(ctx context.Context, e event.GenericEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	for _, request := range r.all(ctx, e.Object) {
		queue.AddAfter(request, gather)
	}
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, kit.All)
}

func (r *Reconciler) bySecret(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, func(s *v1alpha1.LogSink) bool { return s.Spec.Secret != nil && s.Spec.Secret.Name == object.GetName() })
}

func (r *Reconciler) requests(ctx context.Context, wanted func(*v1alpha1.LogSink) bool) []reconcile.Request {
	return kit.Requests(ctx, r.Client, &v1alpha1.LogSinkList{}, wanted)
}

func names(connections []v1alpha1.Connection) []types.NamespacedName {
	all := make([]types.NamespacedName, 0, len(connections))
	for i := range connections {
		all = append(all, client.ObjectKeyFromObject(&connections[i]))
	}
	return all
}
