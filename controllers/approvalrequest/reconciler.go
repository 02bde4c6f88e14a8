// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package approvalrequest says what the decisions on a held operation, or on what is
// asked for in advance, come to.
// The admission policies stamp and restrict every decision; here nothing of that
// is taken on trust: it is believed only while enforcement is proven, and judged
// again.
package approvalrequest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

const (
	// retention is how long a request that is over stays, retentionOfUndecided how long
	// one does that no approver had a say in; one beyond the quota is not worth that.
	retention            = 7 * 24 * time.Hour
	retentionOfUndecided = time.Hour
	retentionOfExcess    = 10 * time.Minute
	// judgeAgain is how often an approval that lasts is judged without a cause: who gave
	// it must still be entitled to.
	judgeAgain = 30 * time.Second
	// turn is about what a request beyond the quota takes, to come again in its turn.
	turn = 10 * time.Millisecond
	// turnOfBreaking is about what another takes to go ahead without approvals.
	turnOfBreaking = 200 * time.Millisecond
)

// Believer says whether a request may be believed; enforcement.Prover is one. An
// error that wraps enforcement.ErrNotEnforced is the verdict no.
type Believer interface {
	Believe(ctx context.Context, request *v1alpha1.ApprovalRequest) error
	// Interval proves enforcement now and names the unbroken time it is proven for.
	Interval(ctx context.Context) (string, error)
}

// Options of a Reconciler. All are needed unless said otherwise.
type Options struct {
	// Client reads from caches.
	Client client.Client
	// Live reads from the API server: what an approval is bound to must not be
	// older than the decision.
	Live client.Reader
	// Believer proves enforcement.
	Believer Believer
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Judged is told the phase that a request came to; may be nil.
	Judged func(phase string)
	// BrokeGlass is told what came of a request to go ahead without approvals, by one of
	// the words below; may be nil.
	BrokeGlass func(outcome string)
}

// What comes of a request to go ahead without approvals.
const (
	BreakGlassActivated = "Activated"
	BreakGlassRefused   = "Refused"
	BreakGlassReviewed  = "Reviewed"
)

// Reconciler reconciles ApprovalRequests.
type Reconciler struct {
	Options
	// excess has room for the requests beyond their requester's quota that are judged at
	// once: the other workers are always there for everybody else.
	excess chan struct{}
	// breaking has room for one request to go ahead without approvals: from the count of
	// what is not reviewed until it is written down that there is one more.
	breaking chan struct{}
	places   places
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{
		Options: options, excess: make(chan struct{}, workers/2), breaking: make(chan struct{}, 1),
		places: places{taken: map[client.ObjectKey]bool{}},
	}
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	request *v1alpha1.ApprovalRequest
	facts   Facts  // count, look, believe and ask
	result  Result // whoever judged
	judged  bool   // count, endAnyhow or judge: the steps in between then do nothing
	// enforcement names the interval that a request without approvals was believed in;
	// believe sets it.
	enforcement string
	// breaking says that the room for breakers of glass is taken; countUnreviewed sets it.
	breaking bool
}

// Reconcile judges a request until it is over, and deletes it later.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	known, crowd, err := r.crowd(ctx, key)
	if err != nil {
		return ctrl.Result{}, err
	}
	if crowd > 0 {
		// Whoever makes too many waits behind themselves, and not before everybody else.
		select {
		case r.excess <- struct{}{}:
			defer func() { <-r.excess }()
		default:
			return ctrl.Result{RequeueAfter: time.Second + time.Duration(crowd)*turn}, nil
		}
		if crowd >= maxKept {
			return r.remove(ctx, known)
		}
	}
	request := &v1alpha1.ApprovalRequest{}
	if err := r.Live.Get(ctx, key.NamespacedName, request); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read ApprovalRequest: %w", err)
	}
	switch {
	case request.DeletionTimestamp != nil:
		return ctrl.Result{}, nil
	case !over(request.Status.Phase):
		return r.consider(ctx, request)
	case request.AwaitsReview():
		return r.awaitReview(ctx, request)
	}
	return r.retire(ctx, request)
}

// consider judges a request that is not over, writes down what it comes to, and tells of it.
func (r *Reconciler) consider(ctx context.Context, request *v1alpha1.ApprovalRequest) (ctrl.Result, error) {
	patcher := kit.NewPatcher(r.Client, request)
	s := &scope{request: request}
	defer r.leave(s)
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "count the requester's requests", Run: r.count},
		kit.Step[scope]{Name: "look at what the request is bound to", Run: unjudged(r.look)},
		kit.Step[scope]{Name: "end what is over anyhow", Run: unjudged(r.endAnyhow)},
		kit.Step[scope]{Name: "count what is not reviewed", Run: unjudged(r.countUnreviewed)},
		kit.Step[scope]{Name: "end what is one too many", Run: unjudged(r.endAnyhow)},
		kit.Step[scope]{Name: "prove that admission is enforced", Run: unjudged(r.believe)},
		kit.Step[scope]{Name: "ask whether approvers are entitled", Run: unjudged(r.ask)},
		kit.Step[scope]{Name: "judge", Run: unjudged(r.judge)},
	)
	if errors.Is(err, errBreaking) {
		return ctrl.Result{RequeueAfter: turnOfBreaking}, nil
	}
	before, broken := request.Status.Phase, request.Status.BreakGlass != nil
	writeStatus(s, err)
	if patchErr := patcher.PatchStatus(ctx, request); patchErr != nil {
		if apierrors.IsConflict(patchErr) {
			return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
		}
		return ctrl.Result{}, patchErr
	}
	r.leave(s)
	if s.judged && before != request.Status.Phase {
		r.tell(s)
		if r.Judged != nil {
			r.Judged(string(request.Status.Phase))
		}
		if request.Spec.Session.BreakGlass == v1alpha1.BreakGlassDeclared && !broken && request.Status.BreakGlass == nil && r.BrokeGlass != nil {
			r.BrokeGlass(BreakGlassRefused)
		}
	}
	if warnErr := r.warn(ctx, request); warnErr != nil {
		return ctrl.Result{}, warnErr
	}
	wait := request.Status.ExpiresAt.Sub(r.Now())
	if request.Spec.Scope == v1alpha1.ApprovalScopeSession && request.Status.Phase == v1alpha1.ApprovalApproved {
		wait = min(wait, judgeAgain)
	}
	return kit.Result(err, max(time.Millisecond, wait))
}

// retire deletes a request that has been over for the retention time.
func (r *Reconciler) retire(ctx context.Context, request *v1alpha1.ApprovalRequest) (ctrl.Result, error) {
	if wait := completedAt(request).Add(stays(request)).Sub(r.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return r.remove(ctx, request)
}

// stays is how long a request that is over is kept.
func stays(request *v1alpha1.ApprovalRequest) time.Duration {
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionComplete); c != nil && c.Reason == v1alpha1.ReasonQuotaExceeded {
		return retentionOfExcess
	}
	counted := func(d v1alpha1.DecisionStatus) bool { return d.State == v1alpha1.DecisionCounted }
	if request.Status.BreakGlass == nil && !slices.ContainsFunc(request.Status.Decisions, counted) {
		return retentionOfUndecided
	}
	return retention
}

// remove deletes a request as it was read. One that was written meanwhile is looked at again:
// a status that changes, as by a notification, brings no event.
func (r *Reconciler) remove(ctx context.Context, request *v1alpha1.ApprovalRequest) (ctrl.Result, error) {
	err := r.Client.Delete(ctx, request, client.Preconditions{UID: &request.UID, ResourceVersion: &request.ResourceVersion})
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
	case err != nil && !apierrors.IsNotFound(err):
		return ctrl.Result{}, fmt.Errorf("cannot delete ApprovalRequest: %w", err)
	}
	return ctrl.Result{}, nil
}
