// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
)

// pending is a notification that is to be sent.
type pending struct {
	key
	// request is shared with the cache, and only to be looked at.
	request *v1alpha1.ApprovalRequest
	at      time.Time
	// turn is how many of the same requester come before; memory.order sets it.
	turn int
}

// begin writes down since when the receiver is told what is selected now, before anything
// is sent: what became of requests before that is not told, so that neither a new Notifier
// nor a wider selector pours out what was long ago. What the receiver has not taken yet
// goes on waiting.
func (r *Reconciler) begin(ctx context.Context, s *scope) error {
	selection, err := selectionOf(&s.notifier.Spec)
	if err != nil {
		return err
	}
	status := &s.notifier.Status
	if status.Selection == selection && !status.Since.IsZero() {
		return nil
	}
	since := s.notifier.CreationTimestamp.Time
	if status.Selection != "" {
		since = r.Now()
		s.memory.carried = s.memory.waiting
	}
	// The API keeps whole seconds; more would differ from what is read back.
	status.Selection, status.Since = selection, metav1.NewTime(since.Truncate(time.Second))
	return s.patcher.PatchStatus(ctx, s.notifier)
}

// selectionOf is the digest of what decides which events are told.
func selectionOf(spec *v1alpha1.NotifierSpec) (string, error) {
	all := slices.Sorted(slices.Values(spec.Events))
	text, err := json.Marshal([]any{all, spec.Namespaces, spec.Connections})
	if err != nil {
		return "", fmt.Errorf("cannot read selectors: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// gather finds the events that the receiver was not told of.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	var list v1alpha1.ApprovalRequestList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("cannot list ApprovalRequests: %w", err)
	}
	selected := r.selector(ctx, s.notifier)
	for i := range list.Items {
		request := &list.Items[i]
		for _, o := range occasions {
			at, came := o.at(request)
			if !came || at.Before(s.notifier.Status.Since.Time) && !s.memory.carried[key{request.UID, o.event}] || !slices.Contains(s.notifier.Spec.Events, o.event) ||
				recorded(request, s.notifier.Name, o.event) != nil {
				continue
			}
			is, err := selected(request)
			if err != nil {
				return err
			}
			if is {
				s.pending = append(s.pending, pending{key: key{request.UID, o.event}, request: request, at: at})
			}
		}
	}
	s.memory.order(s.pending)
	s.memory.keep(s.pending)
	s.gathered = true
	return nil
}

// selector says which requests the notifier is about, as a ClusterAccessPolicy with the
// same selectors would be. A Connection that is gone is selected by name only.
func (r *Reconciler) selector(ctx context.Context, n *v1alpha1.Notifier) func(*v1alpha1.ApprovalRequest) (bool, error) {
	rule := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{Namespaces: n.Spec.Namespaces, Connections: n.Spec.Connections}}
	labels, known := map[string]map[string]string{}, map[client.ObjectKey]bool{}
	return func(request *v1alpha1.ApprovalRequest) (bool, error) {
		at := client.ObjectKey{Namespace: request.Namespace, Name: request.Spec.ConnectionRef.Name}
		if is, ok := known[at]; ok {
			return is, nil
		}
		if _, ok := labels[at.Namespace]; !ok {
			namespace, err := kit.Metadata(ctx, r.Metadata, corev1.SchemeGroupVersion.WithKind("Namespace"), "", at.Namespace)
			if err != nil {
				return false, err
			}
			labels[at.Namespace] = nil
			if namespace != nil {
				labels[at.Namespace] = namespace.Labels
			}
		}
		connection := &v1alpha1.Connection{}
		err := r.Client.Get(ctx, at, connection)
		if apierrors.IsNotFound(err) {
			connection = &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name}}
		} else if err != nil {
			return false, fmt.Errorf("cannot read Connection: %w", err)
		}
		known[at] = compile.ClusterSelects(rule, connection, labels)
		return known[at], nil
	}
}

// prepare reads the template and the Secret. What is wrong with them is a *kit.Stalled.
func (r *Reconciler) prepare(ctx context.Context, s *scope) error {
	spec := &s.notifier.Spec
	notice, err := newNotice(spec)
	if err != nil {
		return &kit.Stalled{Reason: v1alpha1.ReasonInvalidTemplate, Err: fmt.Errorf("spec.template: %w", err)}
	}
	data, err := r.readSecret(ctx, spec)
	if err != nil {
		return err
	}
	receiver, err := newReceiver(spec, data, r.Loopback)
	if err != nil {
		return &kit.Stalled{Reason: v1alpha1.ReasonInvalid, Err: err}
	}
	if _, err := receiver.tls.Config(); err != nil {
		return &kit.Stalled{Reason: v1alpha1.ReasonInvalidCertificateAuthority, Err: fmt.Errorf("spec.tls: %w", err)}
	}
	s.notice, s.receiver = notice, receiver
	s.memory.uses(receiver, s.notifier.Generation)
	return nil
}
