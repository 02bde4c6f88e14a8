// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/report"
)

const (
	// goneAfter is how long a proxy must be seen without a report before its log
	// is taken to have ended. It is long enough for proxies to report again after
	// the API server was away.
	goneAfter = 2 * report.StaleAfter
	// pruneAfter is how long the last submission of a log that is over is kept.
	pruneAfter = time.Hour
)

// look reads which proxies report, where a log may be without its proxy.
func (r *Reconciler) look(ctx context.Context, s *scope) error {
	wanted := len(s.unreadable) > 0
	for _, log := range s.logs {
		quiet := s.now.Sub(lastSeen(log))
		wanted = wanted || !over(log) && quiet >= lookEvery
		submission := s.submissions[log.Spec.Instance]
		switch named := submission != nil && submission.Log == log.Name; {
		case !over(log):
			s.soon(lookEvery)
		case named && quiet < pruneAfter:
			s.soon(pruneAfter - quiet)
		case named:
			wanted = true
			s.soon(pruneAfter)
		}
	}
	if !wanted {
		return nil
	}
	reports := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: s.key.Namespace, Name: report.ConfigMapName(s.key.Name)}, reports)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	// The Connection's reconciler prunes entries that are not renewed.
	if s.reports = reports.Data; s.reports == nil {
		s.reports = map[string]string{}
	}
	return nil
}

// end marks the logs whose proxy has been gone for long enough.
func (r *Reconciler) end(ctx context.Context, s *scope) error {
	for i, log := range s.logs {
		wait, gone := r.absent(s, log)
		if wait > 0 {
			s.soon(wait)
		}
		if !gone {
			continue
		}
		patcher := kit.NewPatcher(r.Client, log)
		writeStatus(log, ended(log.Status.Size))
		if err := patcher.PatchStatus(ctx, log); err != nil {
			return err
		}
		s.logs[i] = log
		r.tell(s, log, "LogEnded", "Log %s of instance %q ended after %d records without having been closed: records after them may be missing",
			log.Name, log.Spec.Instance, log.Status.Size)
	}
	return nil
}

// absent says whether an open log's proxy has been gone for long enough, and if
// not, when to look again. A proxy that has begun another log is gone, as far as
// this one is concerned.
func (r *Reconciler) absent(s *scope, log *v1alpha1.AuditLog) (wait time.Duration, gone bool) {
	key := client.ObjectKeyFromObject(log)
	r.mu.Lock()
	defer r.mu.Unlock()
	if over(log) {
		delete(r.gone, key)
		delete(r.written, key)
		return 0, false
	}
	if s.reports == nil {
		return 0, false
	}
	_, reports := s.reports[log.Spec.Instance]
	submission := s.submissions[log.Spec.Instance]
	if replaced := submission != nil && submission.Log != log.Name; reports && !replaced {
		delete(r.gone, key)
		return 0, false
	}
	since, seen := r.gone[key]
	if !seen {
		since = s.now
		r.gone[key] = since
	}
	if wait := since.Add(goneAfter).Sub(s.now); wait > 0 {
		return wait, false
	}
	delete(r.gone, key)
	return 0, true
}
