// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notify tells receivers of HTTP requests, such as chats, what becomes of
// ApprovalRequests, as Notifiers describe it.
//
// Nothing is queued in memory: what is to be told is what the requests themselves say
// became of them and do not yet say was told. So a restart loses nothing, and a
// notification that is over, which the request keeps in its status, is not sent again.
// One that was sent by a manager which died before it wrote that down is sent twice, with
// the same id.
package notify

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// workers is how many receivers are told at the same time; each only by one.
const workers = 16

// Figures count what is told. figures.Figures is one.
type Figures interface {
	Notified(notifier, result string)
	NotificationsWaiting(notifier string, count int)
	NotifierGone(notifier string)
}

// Options of a Reconciler. All are needed unless said otherwise.
type Options struct {
	// Client reads Secrets from the API server and the rest from caches.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Metadata reads PartialObjectMetadata from caches.
	Metadata client.Reader
	// Namespace is the operator's own, where notifiers have their Secrets.
	Namespace string
	// Events tells users what happened.
	Events events.EventRecorder
	// Figures counts; may be nil.
	Figures Figures
	// Loopback lets receivers be on this machine, for tests.
	Loopback bool
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Reconciler reconciles Notifiers.
type Reconciler struct {
	Options

	mu    sync.Mutex // guards known
	known map[string]*memory
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{Options: options, known: map[string]*memory{}}
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	notifier *v1alpha1.Notifier
	memory   *memory
	patcher  *kit.Patcher
	notice   *notice   // prepare
	receiver *receiver // prepare
	pending  []pending // gather
	gathered bool      // gather
	told     int       // deliver: how many of them are over now
	after    time.Duration
}

// Reconcile tells one receiver what it is to be told now.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	notifier := &v1alpha1.Notifier{}
	if err := r.Client.Get(ctx, request.NamespacedName, notifier); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.Name)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read Notifier: %w", err)
	}
	if notifier.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	s := &scope{notifier: notifier, memory: r.remember(notifier), patcher: kit.NewPatcher(r.Client, notifier)}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "say since when it is told", Run: r.begin},
		kit.Step[scope]{Name: "find what is to be told", Run: r.gather},
		kit.Step[scope]{Name: "use the settings", Run: r.prepare},
		kit.Step[scope]{Name: "tell the receiver", Run: r.deliver},
	)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
	}
	writeStatus(s, err)
	if patchErr := s.patcher.PatchStatus(ctx, notifier); patchErr != nil {
		if apierrors.IsConflict(patchErr) {
			return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
		}
		return ctrl.Result{}, patchErr
	}
	if r.Figures != nil && s.gathered {
		r.Figures.NotificationsWaiting(notifier.Name, len(s.pending)-s.told)
	}
	return kit.Result(err, s.after)
}

// SetupWithManager watches notifiers, their Secrets as metadata, and what becomes of
// ApprovalRequests.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	onSpec := builder.WithPredicates(kit.SpecChanged())
	return ctrl.NewControllerManagedBy(mgr).Named("notify").
		For(&v1alpha1.Notifier{}, onSpec).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.bySecret), builder.OnlyMetadata, builder.WithPredicates(kit.In(r.Namespace))).
		Watches(&v1alpha1.ApprovalRequest{}, handler.Funcs{CreateFunc: r.created, UpdateFunc: r.updated}).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func (r *Reconciler) created(ctx context.Context, e event.CreateEvent, q queue) {
	r.enqueue(ctx, e.Object, q)
}

// updated passes over changes that leave the phase as it was: no other is told.
func (r *Reconciler) updated(ctx context.Context, e event.UpdateEvent, q queue) {
	before, ok := e.ObjectOld.(*v1alpha1.ApprovalRequest)
	after, is := e.ObjectNew.(*v1alpha1.ApprovalRequest)
	if !ok || !is || before.UID == after.UID && before.Status.Phase == after.Status.Phase {
		return
	}
	r.announce(after)
	r.enqueue(ctx, after, q)
}

func (r *Reconciler) enqueue(ctx context.Context, object client.Object, q queue) {
	if request, ok := object.(*v1alpha1.ApprovalRequest); !ok || request.Status.Phase == "" {
		return
	}
	for _, request := range r.requests(ctx, kit.All) {
		q.Add(request)
	}
}

func (r *Reconciler) bySecret(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, func(n *v1alpha1.Notifier) bool { return n.Spec.Secret != nil && n.Spec.Secret.Name == object.GetName() })
}

func (r *Reconciler) requests(ctx context.Context, wanted func(*v1alpha1.Notifier) bool) []reconcile.Request {
	return kit.Requests(ctx, r.Client, &v1alpha1.NotifierList{}, wanted)
}
