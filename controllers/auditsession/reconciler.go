// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auditsession keeps AuditSessions tidy: it deletes those that are over
// after their Connection's retention time, marks those Lost whose proxy is gone
// without having closed them, and tells of credentials that several proxies see
// used from different networks. Everything else in them is the proxies'.
package auditsession

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/report"
)

// DefaultRetention is spec.audit.sessionRetentionSeconds of a Connection where
// unset, and for sessions whose Connection is gone.
const DefaultRetention = 7 * 24 * time.Hour

// lostAfter is how long a proxy must be seen without a report before its sessions
// are taken to be lost. It is long enough for proxies to report again after the
// API server was away.
const lostAfter = 2 * report.StaleAfter

// lookEvery bounds how late a shortened retention time is noticed.
const lookEvery = 10 * time.Minute

// Reconciler reconciles AuditSessions.
type Reconciler struct {
	// Client reads ConfigMaps from the API server and the rest from caches.
	Client client.Client
	// Events tells readers of sessions; nobody where nil.
	Events events.EventRecorder
	// Shared, where not nil, is called for each credential that several proxies see used
	// from different networks.
	Shared func()
	// Now is the clock; time.Now where nil.
	Now func() time.Time

	mu sync.Mutex // guards gone and told
	// gone is since when this process has seen a session without its proxy.
	gone map[types.UID]time.Time
	// told are the findings that were told of, with the time.
	told map[finding]time.Time
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	session *v1alpha1.AuditSession
	now     time.Time
	keep    time.Duration // look
	present bool          // look: the proxy reports
	deleted bool          // retire
	lost    bool          // lose
	after   time.Duration
}

// Reconcile looks after one session.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	session := &v1alpha1.AuditSession{}
	if err := r.Client.Get(ctx, request.NamespacedName, session); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read AuditSession: %w", err)
	}
	patcher := kit.NewPatcher(r.Client, session)
	s := &scope{session: session, now: r.now()}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "look at the Connection and its proxies", Run: r.look},
		kit.Step[scope]{Name: "delete what is old", Run: r.retire},
		kit.Step[scope]{Name: "mark what is lost", Run: r.lose},
		kit.Step[scope]{Name: "compare with other sessions of the credential", Run: r.compare},
	)
	if s.deleted {
		r.forget(session.UID)
		return ctrl.Result{}, err
	}
	if s.lost {
		writeLost(s)
		if patchErr := patcher.PatchStatus(ctx, session); patchErr != nil {
			if apierrors.IsConflict(patchErr) { // the proxy closes it after all
				return ctrl.Result{RequeueAfter: time.Second}, nil
			}
			return ctrl.Result{}, patchErr
		}
	}
	return kit.Result(err, s.after)
}

func (r *Reconciler) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// look reads the retention time and whether the session's proxy reports.
func (r *Reconciler) look(ctx context.Context, s *scope) error {
	s.keep = DefaultRetention
	key := types.NamespacedName{Namespace: s.session.Namespace, Name: s.session.Spec.ConnectionRef.Name}
	connection := &v1alpha1.Connection{}
	if err := r.Client.Get(ctx, key, connection); err == nil {
		if audit := connection.Spec.Audit; audit != nil && audit.SessionRetentionSeconds > 0 {
			s.keep = time.Duration(audit.SessionRetentionSeconds) * time.Second
		}
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	if over(s.session) {
		return nil
	}
	reports := &corev1.ConfigMap{}
	key.Name = report.ConfigMapName(key.Name)
	if err := r.Client.Get(ctx, key, reports); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	// The Connection's reconciler prunes entries that are not renewed.
	_, s.present = reports.Data[s.session.Spec.ProxyInstance]
	return nil
}

// retire deletes a session that has been over for the retention time.
func (r *Reconciler) retire(ctx context.Context, s *scope) error {
	if !over(s.session) {
		return nil
	}
	ended := s.session.CreationTimestamp.Time
	if at := s.session.Status.EndedAt; at != nil {
		ended = at.Time
	}
	if wait := ended.Add(s.keep).Sub(s.now); wait > 0 {
		s.after = min(wait, lookEvery)
		return nil
	}
	s.deleted = true
	err := r.Client.Delete(ctx, s.session, client.Preconditions{UID: &s.session.UID, ResourceVersion: &s.session.ResourceVersion})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// lose finds a session whose proxy has been gone for long enough.
func (r *Reconciler) lose(_ context.Context, s *scope) error {
	if over(s.session) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.after = report.StaleAfter
	if s.present {
		delete(r.gone, s.session.UID)
		return nil
	}
	since, seen := r.gone[s.session.UID]
	if !seen {
		if r.gone == nil {
			r.gone = map[types.UID]time.Time{}
		}
		since = s.now
		r.gone[s.session.UID] = since
	}
	if wait := since.Add(lostAfter).Sub(s.now); wait > 0 {
		s.after = wait
		return nil
	}
	s.lost, s.after = true, s.keep
	delete(r.gone, s.session.UID)
	return nil
}

func (r *Reconciler) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gone, uid)
}

func over(session *v1alpha1.AuditSession) bool {
	return session.Status.Phase == v1alpha1.SessionEnded || session.Status.Phase == v1alpha1.SessionLost
}

// writeLost writes the end that the proxy did not write.
func writeLost(s *scope) {
	status := &s.session.Status
	at := metav1.NewTime(s.now)
	status.Phase, status.EndedAt = v1alpha1.SessionLost, &at
	status.EndReason = "the proxy is gone and did not say how the session ended"
	kit.Write(&status.Conditions, s.session.Generation, kit.True(v1alpha1.ConditionComplete, v1alpha1.ReasonSessionLost, status.EndReason))
}

// SetupWithManager watches sessions; the clock does the rest.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.AuditSession{}, byProof, proofOf); err != nil {
		return fmt.Errorf("cannot index AuditSessions: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("auditsession").For(&v1alpha1.AuditSession{}).Complete(r)
}
