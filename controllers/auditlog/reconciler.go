// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auditlog is the witness of the proxies' record logs. Proxies show the
// checkpoints of their logs in a ConfigMap beside their Connection; the witness
// holds each to the one before it, countersigns what continues it, and keeps it
// in an AuditLog that the proxies cannot write. Nothing in a submission is
// believed that is not signed and proven, and nothing that excludes what is
// held ever takes its place.
//
// Only the leading manager runs it, so that there is one word on each log.
package auditlog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/witness"
)

const (
	// writeEvery bounds how often a log's status is written.
	writeEvery = time.Second
	// maxRefused bounds how many submissions at once are told of in Events, and
	// remembered: whoever may write the ConfigMap can fill it with small ones.
	maxRefused = 32
	// lookEvery is how often logs that may have ended are looked at.
	lookEvery = report.StaleAfter / 3
)

// Options of a Reconciler. All are needed unless said otherwise.
type Options struct {
	// Client reads ConfigMaps from the API server and AuditLogs from a cache.
	Client client.Client
	// Keys are the witness's.
	Keys *Keys
	// Events tells users what happened; nobody where nil.
	Events events.EventRecorder
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Reconciler looks after the logs of one Connection at a time; its requests name
// Connections.
type Reconciler struct {
	Options

	mu sync.Mutex // guards what follows
	// written is when this process last wrote a log's status.
	written map[types.NamespacedName]time.Time
	// gone is since when this process has seen an open log without its proxy.
	gone map[types.NamespacedName]time.Time
	// refused are submissions that an Event told of, by ConfigMap and instance.
	refused map[types.NamespacedName]map[string][sha256.Size]byte
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{
		Options: options, written: map[types.NamespacedName]time.Time{}, gone: map[types.NamespacedName]time.Time{},
		refused: map[types.NamespacedName]map[string][sha256.Size]byte{},
	}
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	key types.NamespacedName // of the Connection
	now time.Time

	connection *v1alpha1.Connection // gather; nil where it is gone
	// submissions are what can be read, by instance; unreadable is the rest.
	submitted   *corev1.ConfigMap              // gather; nil where it is gone
	submissions map[string]*witness.Submission // gather
	unreadable  []string                       // gather
	logs        []*v1alpha1.AuditLog           // gather: all of the Connection; judge adds new ones
	failed      error                          // judge: what could not be judged; it keeps nothing else back
	reports     map[string]string              // look: by instance; nil where it was not needed
	after       time.Duration
}

// soon asks for another run.
func (s *scope) soon(after time.Duration) {
	if s.after == 0 || after < s.after {
		s.after = max(after, time.Millisecond)
	}
}

// Reconcile judges what the proxies of a Connection have shown.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	s := &scope{key: request.NamespacedName, now: r.Now()}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "gather what was submitted", Run: r.gather},
		kit.Step[scope]{Name: "judge what was submitted", Run: r.judge},
		kit.Step[scope]{Name: "look for proxies that are gone", Run: r.look},
		kit.Step[scope]{Name: "mark logs that ended", Run: r.end},
		kit.Step[scope]{Name: "prune submissions", Run: r.prune},
	)
	if err == nil {
		err = s.failed
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		// Somebody wrote meanwhile, or the cache does not hold our own last write.
		return ctrl.Result{RequeueAfter: kit.ConflictPause}, nil
	}
	return kit.Result(err, s.after)
}

// gather reads the submissions and the logs.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	connection := &v1alpha1.Connection{}
	if err := r.Client.Get(ctx, s.key, connection); err == nil {
		s.connection = connection
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	var logs v1alpha1.AuditLogList
	if err := r.Client.List(ctx, &logs, client.InNamespace(s.key.Namespace), client.MatchingFields{byConnection: s.key.Name}); err != nil {
		return err
	}
	for i := range logs.Items {
		s.logs = append(s.logs, &logs.Items[i])
	}
	submitted := &corev1.ConfigMap{}
	name := types.NamespacedName{Namespace: s.key.Namespace, Name: witness.ConfigMapName(s.key.Name)}
	if err := r.Client.Get(ctx, name, submitted); apierrors.IsNotFound(err) {
		r.forgetRefused(s.key)
		return nil
	} else if err != nil {
		return err
	}
	s.submitted, s.submissions = submitted, map[string]*witness.Submission{}
	r.keepRefused(s)
	for _, instance := range slices.Sorted(maps.Keys(submitted.Data)) {
		submission, err := witness.Decode([]byte(submitted.Data[instance]))
		if err == nil && submission.Instance != instance {
			err = fmt.Errorf("%w: of instance %q under key %q", witness.ErrMalformed, submission.Instance, instance)
		}
		if err != nil {
			s.unreadable = append(s.unreadable, instance)
			r.refuse(s, instance, "Unreadable", err.Error())
			continue
		}
		s.submissions[instance] = &submission
	}
	return nil
}

// judge judges each submission. What is wrong with one log keeps no other back.
func (r *Reconciler) judge(ctx context.Context, s *scope) error {
	var errs []error
	for _, instance := range slices.Sorted(maps.Keys(s.submissions)) {
		switch err := r.judgeOne(ctx, s, instance, s.submissions[instance]); {
		case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
			s.soon(kit.ConflictPause) // the cache does not hold the last write yet
		case err != nil:
			errs = append(errs, err)
		}
	}
	s.failed = errors.Join(errs...)
	return nil
}

func (r *Reconciler) judgeOne(ctx context.Context, s *scope, instance string, submission *witness.Submission) error {
	log := &v1alpha1.AuditLog{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: s.key.Namespace, Name: submission.Log}, log)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err != nil {
		log = nil
	}
	if log != nil && (log.Spec.ConnectionRef.Name != s.key.Name || log.Spec.Instance != instance) {
		return r.conflict(ctx, s, log, conflicting(v1alpha1.ReasonClaimed,
			"it is the log of instance %q of Connection %q, and was shown as that of instance %q of Connection %q: a log belongs to one instance; begin a new one elsewhere, and see who has a copy of its directory",
			log.Spec.Instance, log.Spec.ConnectionRef.Name, instance, s.key.Name))
	}
	var h held
	if log != nil {
		if h, err = read(log.Name, &log.Status); err != nil {
			return err
		}
	}
	switch v := judge(h, submission); v.outcome {
	case advance:
		return r.advance(ctx, s, log, submission, v)
	case conflict:
		return r.conflict(ctx, s, log, v)
	case refuse:
		r.refuse(s, instance, v.reason, v.message)
	case nothing:
	}
	return nil
}

// prune deletes the submissions of proxies that are gone for long.
func (r *Reconciler) prune(ctx context.Context, s *scope) error {
	if s.submitted == nil || s.reports == nil {
		return nil
	}
	before := s.submitted.DeepCopy()
	for _, instance := range s.unreadable {
		if _, present := s.reports[instance]; !present {
			delete(s.submitted.Data, instance)
		}
	}
	for _, log := range s.logs {
		submission := s.submissions[log.Spec.Instance]
		_, present := s.reports[log.Spec.Instance]
		if present || submission == nil || submission.Log != log.Name || !over(log) || s.now.Sub(lastSeen(log)) < pruneAfter {
			continue
		}
		delete(s.submitted.Data, log.Spec.Instance)
	}
	if len(before.Data) == len(s.submitted.Data) {
		return nil
	}
	// The precondition keeps what was submitted since it was read.
	err := r.Client.Patch(ctx, s.submitted, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// refuse tells the Connection's readers of a submission that is nobody's, once.
func (r *Reconciler) refuse(s *scope, instance, reason, message string) {
	sum := sha256.Sum256([]byte(s.submitted.Data[instance]))
	r.mu.Lock()
	before, known := r.refused[s.key][instance]
	told := before == sum || !known && len(r.refused[s.key]) >= maxRefused
	if r.refused[s.key] == nil {
		r.refused[s.key] = map[string][sha256.Size]byte{}
	}
	if !told {
		r.refused[s.key][instance] = sum
	}
	r.mu.Unlock()
	if told || s.connection == nil || r.Events == nil {
		return
	}
	r.Events.Eventf(s.connection, nil, corev1.EventTypeWarning, "CheckpointRefused", "Witness",
		"What was shown to the witness as instance %q was refused: %s: %s", instance, reason, clip(message))
}

// keepRefused forgets what is not submitted any more.
func (r *Reconciler) keepRefused(s *scope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.refused[s.key], func(instance string, _ [sha256.Size]byte) bool {
		_, here := s.submitted.Data[instance]
		return !here
	})
}

func (r *Reconciler) forgetRefused(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.refused, key)
}
