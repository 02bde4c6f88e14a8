// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

const (
	// batch is how many notifications one run sends at most, so that receivers take turns.
	batch = 10
	// maxRecorded is how many notifications a request keeps in its status.
	maxRecorded = 128
)

// resultFailed is that of an attempt which may be made again, for the figures; the others
// are those of a notification that is over.
const resultFailed = "Failed"

// deliver sends what waits, in its order, until the receiver has had enough.
func (r *Reconciler) deliver(ctx context.Context, s *scope) error {
	sent := 0
	for i := range s.pending {
		p := &s.pending[i]
		if result, over := s.memory.over[p.key]; over {
			if err := r.record(ctx, s, p, result); err != nil {
				return err
			}
			continue
		}
		now := r.Now()
		if wait := s.memory.until.Sub(now); wait > 0 {
			s.after = wait
			return nil
		}
		if sent == batch || !s.memory.limiter.AllowN(now, 1) {
			s.after = time.Second / perSecond
			return nil
		}
		sent++
		if err := r.attempt(ctx, s, p); err != nil {
			return err
		}
	}
	// What failed last waits for no event: nothing else may happen to any request.
	if len(s.pending) > s.told {
		s.after = max(s.memory.until.Sub(r.Now()), firstPause)
	}
	return nil
}

// attempt sends one notification once.
func (r *Reconciler) attempt(ctx context.Context, s *scope, p *pending) error {
	now := r.Now()
	tried := s.memory.tried[p.key]
	if tried.count == 0 {
		tried.since = now
	}
	tried.count++
	s.memory.tried[p.key] = tried
	body, err := s.notice.execute(newMessage(p.request, p.event, p.at, s.notifier.Spec.Markup))
	if err != nil {
		return r.giveUp(ctx, s, p, fmt.Errorf("the template cannot be filled in: %w", err))
	}
	err = s.receiver.send(ctx, notificationID(p.request, p.event), now, body)
	if ctx.Err() != nil {
		return ctx.Err() // the manager ends
	}
	if err == nil {
		s.memory.failures, s.memory.reachable = 0, new(kit.True(v1alpha1.ConditionReachable, v1alpha1.ReasonDelivering, ""))
		r.count(s, string(v1alpha1.NotificationSent))
		return r.record(ctx, s, p, v1alpha1.NotificationSent)
	}
	r.count(s, resultFailed)
	s.memory.reachable = new(kit.False(v1alpha1.ConditionReachable, v1alpha1.ReasonUnreachable, err.Error()))
	var refused *refusal
	if errors.As(err, &refused) && refused.forGood {
		return r.giveUp(ctx, s, p, err)
	}
	var asked time.Duration
	if refused != nil {
		asked = refused.after
	}
	s.memory.failed(r.Now(), asked)
	if now.Sub(tried.since) >= giveUpAfter {
		return r.giveUp(ctx, s, p, err)
	}
	return nil
}

// giveUp ends a notification that nobody took, and says so where people look.
func (r *Reconciler) giveUp(ctx context.Context, s *scope, p *pending, why error) error {
	r.count(s, string(v1alpha1.NotificationGivenUp))
	r.Events.Eventf(p.request, s.notifier, corev1.EventTypeWarning, "NotificationGivenUp", "Notify",
		"%s", kit.Note("Notifier %s was not told of event %s: %s", s.notifier.Name, p.event, why))
	return r.record(ctx, s, p, v1alpha1.NotificationGivenUp)
}

// record writes down that a notification is over. Until the cache shows it, memory knows.
func (r *Reconciler) record(ctx context.Context, s *scope, p *pending, result v1alpha1.NotificationResult) error {
	s.memory.over[p.key] = result
	delete(s.memory.tried, p.key)
	s.told++
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live := &v1alpha1.ApprovalRequest{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(p.request), live); err != nil {
			return err
		}
		if live.UID != p.request.UID || recorded(live, s.notifier.Name, p.event) != nil {
			return nil
		}
		patcher := kit.NewPatcher(r.Client, live)
		all, err := r.room(ctx, live.Status.Notifications)
		if err != nil {
			return err
		}
		all = append(all, v1alpha1.Notification{
			Notifier: s.notifier.Name, Event: p.event, Result: result, At: metav1.NewTime(r.Now().Truncate(time.Second)),
		})
		live.Status.Notifications = all
		return patcher.PatchStatus(ctx, live)
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot write down that a notification is over: %w", err)
	}
	return nil
}

// room makes room in a list that is full: what Notifiers that are gone sent goes first,
// then what was sent the longest ago.
func (r *Reconciler) room(ctx context.Context, all []v1alpha1.Notification) ([]v1alpha1.Notification, error) {
	if len(all) < maxRecorded {
		return all, nil
	}
	var list v1alpha1.NotifierList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("cannot list Notifiers: %w", err)
	}
	all = slices.DeleteFunc(all, func(n v1alpha1.Notification) bool {
		return !slices.ContainsFunc(list.Items, func(there v1alpha1.Notifier) bool { return there.Name == n.Notifier })
	})
	return all[max(0, len(all)-maxRecorded+1):], nil
}

func (r *Reconciler) count(s *scope, result string) {
	if r.Figures != nil {
		r.Figures.Notified(s.notifier.Name, result)
	}
}

// announce makes an Event on a request of each change of its phase; those on its
// Connection are made by who judges it.
func (r *Reconciler) announce(request *v1alpha1.ApprovalRequest) {
	kind := corev1.EventTypeNormal
	switch request.Status.Phase {
	case v1alpha1.ApprovalVoid, v1alpha1.ApprovalDenied, v1alpha1.ApprovalRevoked:
		kind = corev1.EventTypeWarning
	case v1alpha1.ApprovalPending, v1alpha1.ApprovalApproved, v1alpha1.ApprovalExpired, v1alpha1.ApprovalStale, v1alpha1.ApprovalUsed:
	default:
		return
	}
	why := ""
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionComplete); c != nil && c.Message != "" {
		why = ": " + c.Message
	}
	r.Events.Eventf(request, nil, kind, "Approval"+string(request.Status.Phase), "Approve",
		"%s", kit.Note("The request of %s is %s%s", request.Spec.Requester.Username, request.Status.Phase, why))
}
