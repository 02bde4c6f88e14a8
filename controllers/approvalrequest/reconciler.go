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
	"fmt"
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
	// retention is how long a request that is over stays; one beyond the quota is not
	// worth that.
	retention         = 7 * 24 * time.Hour
	retentionOfExcess = 10 * time.Minute
	// judgeAgain is how often an approval that lasts is judged without a cause: who gave
	// it must still be entitled to.
	judgeAgain = 30 * time.Second
)

// Believer says whether a request may be believed; enforcement.Prover is one. An
// error that wraps enforcement.ErrNotEnforced is the verdict no.
type Believer interface {
	Believe(ctx context.Context, request *v1alpha1.ApprovalRequest) error
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
}

// Reconciler reconciles ApprovalRequests.
type Reconciler struct{ Options }

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{options}
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	request *v1alpha1.ApprovalRequest
	facts   Facts  // look, countWaiting, believe and ask
	result  Result // judge
	judged  bool   // judge
}

// Reconcile judges a request until it is over, and deletes it later.
func (r *Reconciler) Reconcile(ctx context.Context, key ctrl.Request) (ctrl.Result, error) {
	request := &v1alpha1.ApprovalRequest{}
	if err := r.Live.Get(ctx, key.NamespacedName, request); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read ApprovalRequest: %w", err)
	}
	if request.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if over(request.Status.Phase) {
		return r.retire(ctx, request)
	}
	patcher := kit.NewPatcher(r.Client, request)
	s := &scope{request: request}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "look at what the request is bound to", Run: r.look},
		kit.Step[scope]{Name: "count the requester's requests", Run: r.countWaiting},
		kit.Step[scope]{Name: "prove that admission is enforced", Run: r.believe},
		kit.Step[scope]{Name: "ask whether approvers are entitled", Run: r.ask},
		kit.Step[scope]{Name: "judge", Run: r.judge},
	)
	before := request.Status.Phase
	writeStatus(s, err)
	if patchErr := patcher.PatchStatus(ctx, request); patchErr != nil {
		if apierrors.IsConflict(patchErr) {
			return ctrl.Result{RequeueAfter: 100 * time.Millisecond}, nil
		}
		return ctrl.Result{}, patchErr
	}
	if s.judged && before != request.Status.Phase {
		r.tell(s)
		if r.Judged != nil {
			r.Judged(string(request.Status.Phase))
		}
	}
	wait := request.Status.ExpiresAt.Sub(r.Now())
	if request.Spec.Scope == v1alpha1.ApprovalScopeSession && request.Status.Phase == v1alpha1.ApprovalApproved {
		wait = min(wait, judgeAgain)
	}
	return kit.Result(err, max(time.Millisecond, wait))
}

// retire deletes a request that has been over for the retention time.
func (r *Reconciler) retire(ctx context.Context, request *v1alpha1.ApprovalRequest) (ctrl.Result, error) {
	at := completedAt(request)
	stays := retention
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionComplete); c != nil && c.Reason == v1alpha1.ReasonQuotaExceeded {
		stays = retentionOfExcess
	}
	if wait := at.Add(stays).Sub(r.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	err := r.Client.Delete(ctx, request, client.Preconditions{UID: &request.UID, ResourceVersion: &request.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return ctrl.Result{}, fmt.Errorf("cannot delete old ApprovalRequest: %w", err)
	}
	return ctrl.Result{}, nil
}
