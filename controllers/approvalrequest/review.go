// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enforcement"
	"github.com/doorward/doorward/controllers/kit"
)

// errBreaking says that another request is about to go ahead without approvals.
var errBreaking = errors.New("another request is being looked at")

// listedAtOnce is how many requests are read at once from the API server.
const listedAtOnce = 100

// countUnreviewed counts what else the requester does without approvals and nobody has
// reviewed. It asks the API server itself, and lets one request at a time do so until that
// has its status: two of one moment must not both be the last that may be. It comes after
// endAnyhow, so that only those whom the rules name cost as much.
func (r *Reconciler) countUnreviewed(ctx context.Context, s *scope) error {
	if s.request.Spec.Session.BreakGlass != v1alpha1.BreakGlassDeclared || s.request.Status.BreakGlass != nil {
		return nil
	}
	select {
	case r.breaking <- struct{}{}:
		s.breaking = true
	default:
		return errBreaking
	}
	options := []client.ListOption{
		client.InNamespace(s.request.Namespace), client.MatchingLabels{v1alpha1.LabelScope: string(v1alpha1.ApprovalScopeSession)}, client.Limit(listedAtOnce),
	}
	for next := ""; ; {
		var list v1alpha1.ApprovalRequestList
		if err := r.Live.List(ctx, &list, append(options, client.Continue(next))...); err != nil {
			return fmt.Errorf("cannot count what the requester did without approvals: %w", err)
		}
		for i := range list.Items {
			if unreviewed(&list.Items[i], s.request) {
				s.facts.Unreviewed++
			}
		}
		if next = list.Continue; next == "" {
			return nil
		}
	}
}

// unreviewed says whether another request of the same requester goes ahead without
// approvals, or is about to and comes first, and is not reviewed.
func unreviewed(other, request *v1alpha1.ApprovalRequest) bool {
	if other.UID == request.UID || other.Spec.Requester.Username != request.Spec.Requester.Username {
		return false
	}
	coming := other.Spec.Session.BreakGlass == v1alpha1.BreakGlassDeclared && other.Status.Phase == "" && elder(other, request)
	return other.AwaitsReview() || coming
}

// leave makes room for the next request to go ahead without approvals.
func (r *Reconciler) leave(s *scope) {
	if s.breaking {
		s.breaking = false
		<-r.breaking
	}
}

// awaitReview judges the review of what went ahead without approvals. Until one counts the
// request stays.
func (r *Reconciler) awaitReview(ctx context.Context, request *v1alpha1.ApprovalRequest) (ctrl.Result, error) {
	if err := r.warn(ctx, request); err != nil {
		return ctrl.Result{}, err
	}
	facts := ReviewFacts{Request: request}
	var err error
	// The proof is later than the request was read, so that it covers the review.
	if facts.Enforcement, err = r.Believer.Interval(ctx); errors.Is(err, enforcement.ErrNotEnforced) {
		facts.NotBelieved = err
	} else if err != nil {
		return ctrl.Result{}, err
	}
	patcher := kit.NewPatcher(r.Client, request)
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReviewed); request.Spec.Review == nil || !judgedReview(c, request) {
		if review := request.Spec.Review; review != nil && review.Reviewer != nil && facts.NotBelieved == nil {
			if facts.Entitled, err = r.entitled(ctx, request, review.Reviewer); err != nil {
				return ctrl.Result{}, err
			}
		}
		reason, message := judgeReview(facts)
		condition := kit.False(v1alpha1.ConditionReviewed, reason, message)
		if reason == v1alpha1.ReasonReviewed {
			condition = kit.True(v1alpha1.ConditionReviewed, reason, message)
		}
		kit.Write(&request.Status.Conditions, request.Generation, condition)
	}
	if facts.NotBelieved == nil {
		request.Status.BreakGlass.Enforcement = facts.Enforcement
	}
	if err := patcher.PatchStatus(ctx, request); err != nil {
		return ctrl.Result{}, err
	}
	if request.AwaitsReview() {
		return ctrl.Result{}, nil
	}
	if r.BrokeGlass != nil {
		r.BrokeGlass(BreakGlassReviewed)
	}
	connection, err := r.connection(ctx, request)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.announce(connection, request, corev1.EventTypeNormal, "BreakGlassReviewed", kit.Note("%s reviewed what %s did without approvals by ApprovalRequest %s: %s",
		request.Spec.Review.Reviewer.Username, request.Spec.Requester.Username, request.Name, request.Spec.Review.Reason))
	return r.retire(ctx, request)
}

// connection is that of a request; nil where it is gone.
func (r *Reconciler) connection(ctx context.Context, request *v1alpha1.ApprovalRequest) (*v1alpha1.Connection, error) {
	connection := &v1alpha1.Connection{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: request.Namespace, Name: request.Spec.ConnectionRef.Name}, connection)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	return connection, err
}

// judgedReview says whether this very review was judged before: nothing in spec changed
// since.
func judgedReview(c *metav1.Condition, request *v1alpha1.ApprovalRequest) bool {
	return c != nil && c.Reason != v1alpha1.ReasonReviewAwaited && c.ObservedGeneration == request.Generation
}

// warn warns of a request that goes ahead without approvals, and writes down that it did: a
// manager that dies in between leaves it to the next.
func (r *Reconciler) warn(ctx context.Context, request *v1alpha1.ApprovalRequest) error {
	if request.Status.BreakGlass == nil || !request.Status.BreakGlass.WarnedAt.IsZero() {
		return nil
	}
	connection, err := r.connection(ctx, request)
	if err != nil {
		return err
	}
	r.announce(connection, request, corev1.EventTypeWarning, "BreakGlass", kit.Note(
		"%s goes ahead without approvals by ApprovalRequest %s until %s (reason %s): %s",
		request.Spec.Requester.Username, request.Name, request.Status.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z"),
		request.Status.BreakGlass.ReasonDigest, request.Spec.Session.Reason))
	if r.BrokeGlass != nil {
		r.BrokeGlass(BreakGlassActivated)
	}
	patcher := kit.NewPatcher(r.Client, request)
	request.Status.BreakGlass.WarnedAt = metav1.NewTime(r.Now().Truncate(time.Second))
	return patcher.PatchStatus(ctx, request)
}

// announce makes an Event on the request and one on its Connection, where there is one.
func (r *Reconciler) announce(connection *v1alpha1.Connection, request *v1alpha1.ApprovalRequest, kind, reason, note string) {
	if r.Events == nil {
		return
	}
	if connection == nil {
		r.Events.Eventf(request, nil, kind, reason, "BreakGlass", "%s", note)
		return
	}
	r.Events.Eventf(request, connection, kind, reason, "BreakGlass", "%s", note)
	r.Events.Eventf(connection, request, kind, reason, "BreakGlass", "%s", note)
}
