// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/witness"
)

// witnessed is a proxy's log at a site with a witness.
type witnessed struct {
	*site
	spool    *spool.Log
	problems *Problems
	stop     func()
	// held is what the test, as the witness, holds.
	held tlog.Tree
}

// open opens a log; dir is where it was before, or empty.
func openLog(t *testing.T, dir string) *spool.Log {
	t.Helper()
	log, err := spool.Open(t.Context(), spool.Options{Dir: dir, MaxBytes: 1 << 20, Witness: true})
	must(t, err)
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func newWitnessed(t *testing.T, s *site, log *spool.Log) *witnessed {
	t.Helper()
	w := &witnessed{site: s, spool: log, problems: NewProblems()}
	part := NewWitness(WitnessOptions{
		Client: s.proxy, Instance: "shop-0", Log: log.Witness(), Keys: log.Keys, Logger: s.log,
		IsConflict: func(err error) bool { return errors.Is(err, spool.ErrConflict) },
		IsGone:     func(err error) bool { return errors.Is(err, spool.ErrGone) },
	})
	part.Serve(s.namespace, connectionName, w.problems)
	w.stop = run(t, part.Run)
	return w
}

// grantWitness gives the proxy the rights that the manager would.
func (s *site) grantWitness() {
	s.t.Helper()
	ctx, name := s.t.Context(), "doorward-"+connectionName
	object := metav1.ObjectMeta{Name: name + "-witness", Namespace: s.namespace}
	_, err := s.core.RbacV1().Roles(s.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: object, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{witness.ConfigMapName(connectionName)}, Verbs: []string{"get", "list", "watch", "patch"}},
		{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"auditlogs"}, Verbs: []string{"get", "list", "watch"}},
	}}, metav1.CreateOptions{})
	must(s.t, err)
	_, err = s.core.RbacV1().RoleBindings(s.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: object, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: object.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: s.namespace}},
	}, metav1.CreateOptions{})
	must(s.t, err)
	_, err = s.core.CoreV1().ConfigMaps(s.namespace).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: witness.ConfigMapName(connectionName)}}, metav1.CreateOptions{})
	must(s.t, err)
}

// write appends a record that is on disk when it returns.
func (w *witnessed) write(kind record.Type) {
	w.t.Helper()
	_, err := w.spool.Append(context.Background(), record.Event{Type: kind})
	must(w.t, err)
}

// shown is the submission that is there now, if it can be read.
func (w *witnessed) shown() (witness.Submission, bool) {
	object, err := w.core.CoreV1().ConfigMaps(w.namespace).Get(context.Background(), witness.ConfigMapName(connectionName), metav1.GetOptions{})
	if err != nil {
		return witness.Submission{}, false
	}
	submission, err := witness.Decode([]byte(object.Data["shop-0"]))
	return submission, err == nil
}

// awaitShown awaits a checkpoint that continues what is held and covers a number
// of records at least.
func (w *witnessed) awaitShown(size int64) (s witness.Submission, c tree.Checkpoint) {
	w.t.Helper()
	eventually(w.t, "the checkpoint to be shown", func() bool {
		var shown bool
		if s, shown = w.shown(); !shown {
			return false
		}
		var err error
		c, err = s.Verify(w.spool.Keys(), w.held)
		return err == nil && c.Size >= size
	})
	return s, c
}

// hold has the witness hold a checkpoint.
func (w *witnessed) hold(signed string, c tree.Checkpoint, change func(*v1alpha1.AuditLogStatus)) {
	w.t.Helper()
	ctx, logs := context.Background(), w.admin.auditLogs(w.namespace)
	log, err := logs.Get(ctx, w.spool.ID(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		log, err = logs.Create(ctx, &v1alpha1.AuditLog{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.spool.ID()},
			Spec:       v1alpha1.AuditLogSpec{ConnectionRef: v1alpha1.ConnectionReference{Name: connectionName}, Instance: "shop-0"},
		}, metav1.CreateOptions{})
	}
	must(w.t, err)
	log.Status.State, log.Status.Size, log.Status.Checkpoint = v1alpha1.AuditLogOpen, c.Size, signed
	if change != nil {
		change(&log.Status)
	}
	_, err = logs.UpdateStatus(ctx, log, metav1.UpdateOptions{})
	must(w.t, err)
	w.held = c.Tree()
}

func (w *witnessed) problem() report.Problem {
	for _, p := range w.problems.List() {
		if p.Type == report.LogConsistent {
			return p
		}
	}
	return report.Problem{}
}

// TestWitness: what is shown continues what the witness holds, what it holds is
// kept beside the log, and the end of the log gets there before the proxy ends.
func TestWitness(t *testing.T) {
	s := newSite(t)
	s.grantWitness()
	w := newWitnessed(t, s, openLog(t, filepath.Join(t.TempDir(), "spool")))
	w.write(record.ProxyStart)
	submission, c := w.awaitShown(1)
	if submission.From != 0 || submission.Log != w.spool.ID() || submission.Instance != "shop-0" {
		t.Errorf("first submission %+v", submission)
	}
	w.hold(submission.Checkpoint, c, nil)
	eventually(t, "what is held to be kept", func() bool { return w.spool.Witness().Held() == c.Size })

	began := time.Now()
	w.write(record.SessionEnd)
	submission, c = w.awaitShown(c.Size + 1)
	t.Logf("shown %s after the end of a session", time.Since(began).Round(time.Millisecond))
	if submission.From == 0 || len(submission.Proof) == 0 {
		t.Errorf("submission without a proof: %+v", submission)
	}
	w.hold(submission.Checkpoint, c, nil)

	w.write(record.ProxyStop)
	must(t, w.spool.Finish(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.stop()
	}()
	submission, c = w.awaitShown(c.Size + 1)
	for !c.Closed {
		submission, c = w.awaitShown(c.Size + 1)
	}
	select {
	case <-ended:
		t.Error("the proxy did not wait for the end to be held")
	default:
	}
	w.hold(submission.Checkpoint, c, nil)
	<-ended
	if w.spool.Witness().Held() != c.Size || w.problem().Type != "" {
		t.Errorf("held %d of %d, problem %+v", w.spool.Witness().Held(), c.Size, w.problem())
	}
}

// TestWitnessAway: while the API server is away nothing piles up, and the newest
// checkpoint is shown afterwards; the end of the proxy is not held up for long.
func TestWitnessAway(t *testing.T) {
	s := newSite(t)
	s.grantWitness()
	w := newWitnessed(t, s, openLog(t, filepath.Join(t.TempDir(), "spool")))
	w.write(record.ProxyStart)
	submission, c := w.awaitShown(1)
	w.hold(submission.Checkpoint, c, nil)
	must(t, env.CloseAPI())
	resume := func() { must(t, env.Resume()) }
	resumed := false
	defer func() {
		if !resumed {
			resume()
		}
	}()
	for range 3 {
		changed := w.spool.Witness().Changed()
		w.write(record.SessionEnd)
		<-changed
	}
	latest, _ := w.spool.Witness().Latest()
	resume()
	resumed = true
	submission, c = w.awaitShown(latest.Size)
	if submission.From != w.held.N {
		t.Errorf("shown from %d, held is %d", submission.From, w.held.N)
	}
	w.hold(submission.Checkpoint, c, nil)

	must(t, env.CloseAPI())
	resumed = false
	changed := w.spool.Witness().Changed()
	w.write(record.SessionEnd)
	<-changed
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > witnessLast+requestTimeout+busy {
		t.Errorf("the end took %s", took)
	}
}

// TestWitnessConflict: checklist 45, a log that was rolled back or rewritten is
// shown as it is, and reported.
func TestWitnessConflict(t *testing.T) {
	for name, tc := range map[string]struct {
		size func(c tree.Checkpoint) int64
		want string
	}{
		"RolledBack": {func(c tree.Checkpoint) int64 { return c.Size + 1000 }, v1alpha1.ReasonRolledBack},
		"Forked":     {func(c tree.Checkpoint) int64 { return c.Size }, v1alpha1.ReasonForked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.grantWitness()
			w := newWitnessed(t, s, openLog(t, filepath.Join(t.TempDir(), "spool")))
			w.write(record.ProxyStart)
			_, c := w.awaitShown(1)
			// The witness has seen another history under the same key.
			other := c
			other.Size, other.Root = tc.size(c), tree.Hash{1}
			signed, err := other.Sign(w.spool.Signer())
			must(t, err)
			w.hold(signed, other, nil)
			eventually(t, "the problem to be reported", func() bool { return w.problem().Reason == tc.want })
			eventually(t, "the log to be shown as it is", func() bool {
				submission, shown := w.shown()
				return shown && submission.From == other.Size && len(submission.Proof) == 0
			})
			w.hold(signed, other, func(status *v1alpha1.AuditLogStatus) {
				status.State = v1alpha1.AuditLogConflict
				meta.SetStatusCondition(&status.Conditions, metav1.Condition{
					Type: v1alpha1.ConditionConsistent, Status: metav1.ConditionFalse, Reason: tc.want, Message: "as the witness says",
				})
			})
			// The proxy goes on with its log.
			w.write(record.SessionEnd)
			if p := w.problem(); p.Reason != tc.want || p.Message == "" {
				t.Errorf("problem %+v", p)
			}
		})
	}
}

// TestWitnessOfAnother: a log that belongs to another instance is not shown as
// this one's, which would spoil it for good.
func TestWitnessOfAnother(t *testing.T) {
	s := newSite(t)
	s.grantWitness()
	log := openLog(t, filepath.Join(t.TempDir(), "spool"))
	_, err := s.admin.auditLogs(s.namespace).Create(t.Context(), &v1alpha1.AuditLog{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: log.ID()},
		Spec:       v1alpha1.AuditLogSpec{ConnectionRef: v1alpha1.ConnectionReference{Name: connectionName}, Instance: "shop-7"},
	}, metav1.CreateOptions{})
	must(t, err)
	w := newWitnessed(t, s, log)
	w.write(record.ProxyStart)
	eventually(t, "the problem to be reported", func() bool { return w.problem().Reason == v1alpha1.ReasonClaimed })
	if _, shown := w.shown(); shown {
		t.Error("the log of another instance was shown")
	}
}
