// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/witness"
)

// advance countersigns a checkpoint and holds it from now on. log is nil where
// there is none yet.
func (r *Reconciler) advance(ctx context.Context, s *scope, log *v1alpha1.AuditLog, submission *witness.Submission, v verdict) error {
	name := types.NamespacedName{Namespace: s.key.Namespace, Name: submission.Log}
	r.mu.Lock()
	wait := r.written[name].Add(writeEvery).Sub(s.now)
	r.mu.Unlock()
	if wait > 0 {
		s.soon(wait) // the newest is held then
		return nil
	}
	if log == nil && s.connection == nil {
		return nil // a new log of a Connection that is gone: its proxies are, too
	}
	signer, verifiers, err := r.Keys.Signer(ctx)
	if err != nil {
		return err
	}
	countersigned, err := countersign(submission.Checkpoint, v, signer)
	if err != nil {
		return err
	}
	if log == nil {
		if log, err = r.create(ctx, s, submission); err != nil {
			return err
		}
	}
	patcher := kit.NewPatcher(r.Client, log)
	status := &log.Status
	now := metav1.NewTime(s.now)
	if _, err := witness.OpenCertificate(status.Certificate, verifiers); err != nil {
		// There is none, or a key signed it that nothing connects with the one in
		// force, since that was lost: who trusts this one finds out whose log it is.
		c := witness.Certificate{
			Log: log.Name, Key: v.keys.First(), Namespace: s.key.Namespace, Connection: s.key.Name, Instance: log.Spec.Instance, Time: s.now,
		}
		if status.Certificate, err = c.Sign(signer); err != nil {
			return err
		}
	}
	if status.FirstSeen == nil {
		status.FirstSeen = &now
	}
	status.Size, status.Checkpoint = v.checkpoint.Size, countersigned
	status.CheckpointTime, status.LastSeen = &now, &now
	status.Keys, status.Rotations = v.keys.Texts(), v.keys.Rotations()
	complete := open()
	if v.checkpoint.Closed {
		complete = closed(v.checkpoint.Size)
	}
	writeStatus(log, complete)
	if err := patcher.PatchStatus(ctx, log); err != nil {
		return err
	}
	r.mu.Lock()
	r.written[name] = s.now
	delete(r.gone, name)
	r.mu.Unlock()
	s.replace(log)
	return nil
}

// create makes the AuditLog of a new log.
func (r *Reconciler) create(ctx context.Context, s *scope, submission *witness.Submission) (*v1alpha1.AuditLog, error) {
	log := &v1alpha1.AuditLog{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.key.Namespace, Name: submission.Log,
			Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward", kit.LabelConnection: s.key.Name},
		},
		Spec: v1alpha1.AuditLogSpec{ConnectionRef: v1alpha1.ConnectionReference{Name: s.key.Name}, Instance: submission.Instance},
	}
	if err := r.Client.Create(ctx, log, client.FieldOwner(kit.Manager)); err != nil {
		return nil, fmt.Errorf("cannot create AuditLog %q: %w", log.Name, err)
	}
	return log, nil
}

// countersign adds the witness's signature to the log's, and drops all others.
func countersign(signed string, v verdict, signer note.Signer) (string, error) {
	n, err := note.Open([]byte(signed), v.keys.For(v.checkpoint.Size))
	if err != nil {
		return "", fmt.Errorf("cannot countersign checkpoint: %w", err)
	}
	both, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs}, signer)
	if err != nil {
		return "", fmt.Errorf("cannot countersign checkpoint: %w", err)
	}
	return string(both), nil
}

// conflict marks a log as one that cannot be relied on. What is held stays.
func (r *Reconciler) conflict(ctx context.Context, s *scope, log *v1alpha1.AuditLog, v verdict) error {
	if before, _ := distrusted(log); !graver(v.reason, before) {
		return nil
	}
	patcher := kit.NewPatcher(r.Client, log)
	message := clip(v.message)
	kit.Write(&log.Status.Conditions, log.Generation, kit.False(v1alpha1.ConditionConsistent, v.reason, message))
	writeStatus(log, kit.Verdict{})
	if err := patcher.PatchStatus(ctx, log); err != nil {
		return err
	}
	s.replace(log)
	const reason, format = "LogConflict", "Log %s of instance %q: %s: %s; the last good checkpoint, of %d records, is kept"
	r.tell(s, log, reason, format, log.Name, log.Spec.Instance, v.reason, message, log.Status.Size)
	return nil
}

// tell warns the readers of the AuditLog and of its Connection.
func (r *Reconciler) tell(s *scope, log *v1alpha1.AuditLog, reason, format string, args ...any) {
	if r.Events == nil {
		return
	}
	r.Events.Eventf(log, nil, corev1.EventTypeWarning, reason, "Witness", format, args...)
	if s.connection != nil {
		r.Events.Eventf(s.connection, log, corev1.EventTypeWarning, reason, "Witness", format, args...)
	}
}

// replace has later steps see what was written.
func (s *scope) replace(log *v1alpha1.AuditLog) {
	for i := range s.logs {
		if s.logs[i].Name == log.Name {
			s.logs[i] = log
			return
		}
	}
	if log.Spec.ConnectionRef.Name == s.key.Name {
		s.logs = append(s.logs, log)
	}
}

// maxMessage keeps messages below the bounds of conditions and Events.
const maxMessage = 800

func clip(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "..."
}
