// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/mod/sumdb/tlog"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/gentype"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/witness"
)

// witnessSite is one namespace's witness.
type witnessSite struct {
	witness   *Witness
	namespace string
	// connections are those of this proxy, with where their problems go.
	connections map[string]*Problems
	log         logr.Logger
	woken       chan struct{}

	held witnessHeld // guarded by witness.mu

	// The goroutine of show alone has what follows.
	put   string // the last submission that was put, and when
	putAt time.Time
	said  string // the last trouble that was logged
	pause time.Duration
}

// witnessHeld is what an AuditLog says.
type witnessHeld struct {
	// known says that it was read, or that there is none.
	known bool
	// tree is zero where the witness holds nothing.
	tree   tlog.Tree
	closed bool
	// unreadable is why the held checkpoint is not one of this log.
	unreadable error
	// connection and instance are whose log it is; empty where there is no AuditLog.
	connection, instance string
	// reason and message are set where the witness has the log in conflict.
	reason, message string
}

func (c *Client) auditLogs(namespace string) *gentype.ClientWithList[*v1alpha1.AuditLog, *v1alpha1.AuditLogList] {
	return gentype.NewClientWithList("auditlogs", c.custom, c.codec, namespace,
		func() *v1alpha1.AuditLog { return &v1alpha1.AuditLog{} },
		func() *v1alpha1.AuditLogList { return &v1alpha1.AuditLogList{} })
}

// follow keeps up with the AuditLog of this proxy's log.
func (s *witnessSite) follow(ctx context.Context) {
	o := &s.witness.options
	client := o.Client.auditLogs(s.namespace)
	f := &follower[*v1alpha1.AuditLog]{
		selector: metav1.ListOptions{FieldSelector: "metadata.name=" + o.Keys().LogID()},
		list:     lister(client.List, func(l *v1alpha1.AuditLogList) []*v1alpha1.AuditLog { return pointers(l.Items) }),
		watch:    client.Watch,
		synced:   func(all []*v1alpha1.AuditLog) { s.see(first(all)) },
		event: func(log *v1alpha1.AuditLog, gone bool) {
			if gone {
				log = nil
			}
			s.see(log)
		},
	}
	f.run(ctx)
}

// see takes what the witness holds; nil where there is no AuditLog.
func (s *witnessSite) see(log *v1alpha1.AuditLog) {
	h := witnessHeld{known: true}
	if log != nil {
		h.connection, h.instance = log.Spec.ConnectionRef.Name, log.Spec.Instance
		h.tree.N = log.Status.Size
		if c := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ConditionConsistent); c != nil && c.Status == metav1.ConditionFalse {
			h.reason, h.message = c.Reason, c.Message
		}
		if log.Status.Checkpoint != "" {
			// Whatever the witness signed besides, it is a checkpoint of this log's keys.
			checkpoint, err := s.witness.options.Keys().Open(log.Status.Checkpoint)
			if err == nil {
				h.tree, h.closed = checkpoint.Tree(), checkpoint.Closed
			}
			h.unreadable = err
		}
	}
	s.witness.mu.Lock()
	s.held = h
	s.witness.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// show puts the newest checkpoint where the witness sees it, until ctx ends, or
// it is held after ending was closed.
func (s *witnessSite) show(ctx context.Context, ending <-chan struct{}) {
	over := false
	for {
		changed := s.witness.options.Log.Changed()
		settled, wait := s.step(ctx)
		if settled && over {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-ending:
			over, ending = true, nil
		case <-changed:
		case <-s.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step does what is due now. settled says that there is nothing to wait for;
// wait is when to look again if nothing happens.
func (s *witnessSite) step(ctx context.Context) (settled bool, wait time.Duration) {
	s.witness.mu.Lock()
	h := s.held
	s.witness.mu.Unlock()
	latest, made := s.witness.options.Log.Latest()
	if !h.known || !made {
		return false, submitAgain
	}
	connection, err := s.owner(h)
	if err != nil {
		s.report(v1alpha1.ReasonClaimed, err)
		return true, submitAgain
	}
	submission, conflict, err := s.submission(h)
	if err != nil {
		return false, s.retry(err)
	}
	switch {
	case conflict != nil && s.witness.options.IsGone(conflict):
		s.report("WitnessBehind", conflict)
		return true, submitAgain
	case conflict != nil:
		reason := v1alpha1.ReasonForked
		if h.tree.N > latest.Size {
			reason = v1alpha1.ReasonRolledBack
		}
		s.report(reason, conflict)
		if h.reason == v1alpha1.ReasonForked || h.reason == v1alpha1.ReasonRolledBack {
			return true, submitAgain // the witness knows
		}
	case h.reason != "":
		s.report(h.reason, fmt.Errorf("the witness has the log in conflict: %s", h.message))
	default:
		s.report("", nil)
	}
	if conflict == nil {
		if err := s.witness.acknowledge(); err != nil && !s.witness.options.IsConflict(err) {
			return false, s.retry(err)
		}
		if h.tree.N == latest.Size && h.closed == latest.Closed {
			s.pause = 0
			return true, submitAgain
		}
	}
	return s.submit(ctx, connection, submission)
}

// submission makes what to show. conflict is why the log does not continue what
// is held: the submission says so then, by naming it and proving nothing.
func (s *witnessSite) submission(h witnessHeld) (submission witness.Submission, conflict, err error) {
	log := s.witness.options.Log
	if h.unreadable != nil {
		conflict = fmt.Errorf("the witness holds a checkpoint that this log's keys did not sign: %w", h.unreadable)
	} else if submission, err = log.Submission(h.tree); s.witness.options.IsConflict(err) {
		conflict, err = err, nil
	}
	if conflict != nil {
		submission, err = log.Submission(tlog.Tree{})
		submission.From, submission.Proof = h.tree.N, nil
	}
	submission.Instance = s.witness.options.Instance
	return submission, conflict, err
}

// submit puts a submission unless it is there already, or it is too early.
func (s *witnessSite) submit(ctx context.Context, connection string, submission witness.Submission) (settled bool, wait time.Duration) {
	data, err := submission.Encode()
	if err != nil {
		return false, s.retry(err)
	}
	since := time.Since(s.putAt)
	switch text := string(data); {
	case text == s.put && since < submitAgain:
		return false, submitAgain - since
	case since < submitEvery:
		return false, submitEvery - since
	default:
		patch, err := json.Marshal(map[string]any{"data": map[string]string{submission.Instance: text}})
		if err != nil {
			return false, s.retry(err)
		}
		bound, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		_, err = s.witness.options.Client.configMaps(s.namespace).Patch(bound, witness.ConfigMapName(connection),
			types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return false, s.retry(err)
		}
		s.put, s.putAt, s.pause = text, time.Now(), 0
		return false, submitAgain
	}
}

// owner is the Connection that the log belongs to in this namespace: the one
// that it was first shown for.
func (s *witnessSite) owner(h witnessHeld) (string, error) {
	if h.connection == "" {
		return slices.Min(slices.Collect(maps.Keys(s.connections))), nil
	}
	_, served := s.connections[h.connection]
	if served && h.instance == s.witness.options.Instance {
		return h.connection, nil
	}
	return "", fmt.Errorf("the log is that of instance %q of Connection %q: a log belongs to one instance: "+
		"start the proxy as that one again, or with an empty log directory, and keep this one as evidence", h.instance, h.connection)
}

// retry says what went wrong, and when to try again.
func (s *witnessSite) retry(err error) time.Duration {
	s.log.V(1).Info("Cannot show a checkpoint to the witness", "reason", err.Error())
	s.pause = min(max(2*s.pause, retrySoonest), retryLatest)
	return s.pause
}

// report reports trouble of the log with its witness, or that there is none.
func (s *witnessSite) report(reason string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	for _, problems := range s.connections {
		if err != nil {
			problems.Set(report.LogConsistent, reason, text)
		} else {
			problems.Clear(report.LogConsistent)
		}
	}
	if reason != "" && s.said != reason {
		s.log.Error(err, "The log is not the one that the witness has seen, see the AuditLog", "auditLog", s.witness.options.Keys().LogID())
	}
	s.said = reason
}
