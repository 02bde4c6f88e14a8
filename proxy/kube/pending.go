// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/record"
)

// pending is one ApprovalRequest that waits.
type pending struct {
	approvals *Approvals
	request   access.Request
	// wanted is what was asked for; what is approved must be the same.
	wanted  v1alpha1.ApprovalRequestSpec
	changed chan struct{}

	mu     sync.Mutex                // guards latest
	latest *v1alpha1.ApprovalRequest // nil where it was deleted
}

var _ access.Pending = (*pending)(nil)

// Request names the object.
func (p *pending) Request() access.Request { return p.request }

// put takes what the watch brought; an older state than the latest is none.
func (p *pending) put(request *v1alpha1.ApprovalRequest) {
	p.mu.Lock()
	p.latest = request
	p.mu.Unlock()
	replaceSignal(p.changed)
}

func replaceSignal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Wait returns when the manager has decided, or ctx ends.
func (p *pending) Wait(ctx context.Context) (access.Outcome, error) {
	for {
		p.mu.Lock()
		latest := p.latest
		p.mu.Unlock()
		if outcome, decided := p.judge(latest); decided {
			return outcome, nil
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return access.Outcome{}, ctx.Err()
		}
	}
}

// judge reads the manager's word. It is not taken for an object that is not the
// one that was created.
func (p *pending) judge(r *v1alpha1.ApprovalRequest) (outcome access.Outcome, decided bool) {
	void := func(message string) (access.Outcome, bool) {
		return access.Outcome{State: access.Void, Message: message}, true
	}
	if r == nil {
		return void("it was deleted")
	}
	if string(r.UID) != p.request.UID || !p.same(r) {
		return void("it is not the request that was made")
	}
	switch r.Status.Phase {
	case v1alpha1.ApprovalApproved:
		approvers := counted(r, v1alpha1.VerdictApprove)
		if len(approvers) < int(p.wanted.MinimumApprovals) {
			return void("its status says approved, its decisions do not")
		}
		return access.Outcome{State: access.Approved, Approvers: approvers}, true
	case v1alpha1.ApprovalDenied:
		return access.Outcome{State: access.Denied, Approvers: counted(r, v1alpha1.VerdictDeny), Message: comment(r)}, true
	case v1alpha1.ApprovalExpired:
		return access.Outcome{State: access.Expired}, true
	case v1alpha1.ApprovalStale:
		return access.Outcome{State: access.Stale, Message: "the connection or a policy changed since"}, true
	case v1alpha1.ApprovalUsed:
		return void("it is used already")
	case v1alpha1.ApprovalVoid, v1alpha1.ApprovalRevoked:
		return void(why(r))
	case v1alpha1.ApprovalPending, "":
	}
	return access.Outcome{}, false
}

// same compares all that must never change.
func (p *pending) same(r *v1alpha1.ApprovalRequest) bool {
	got, want := *r.Spec.DeepCopy(), *p.wanted.DeepCopy()
	if !got.ExpiresAt.Time.Equal(want.ExpiresAt.Time) {
		return false
	}
	got.Decisions, got.Use, got.ExpiresAt = want.Decisions, want.Use, want.ExpiresAt
	return equality.Semantic.DeepEqual(got, want)
}

// counted are the approvers whose decision with a verdict counts, each once and
// never the requester.
func counted(r *v1alpha1.ApprovalRequest, verdict v1alpha1.Verdict) []string {
	var names []string
	for _, status := range r.Status.Decisions {
		if status.State != v1alpha1.DecisionCounted || int(status.Index) >= len(r.Spec.Decisions) || status.Index < 0 {
			continue
		}
		decision := r.Spec.Decisions[status.Index]
		if decision.Verdict != verdict || decision.OperationDigest != r.DecidedDigest() || decision.Approver == nil {
			continue
		}
		if name := decision.Approver.Username; name != r.Spec.Requester.Username && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// comment is what the last one who denied said.
func comment(r *v1alpha1.ApprovalRequest) string {
	for _, decision := range slices.Backward(r.Spec.Decisions) {
		if decision.Verdict == v1alpha1.VerdictDeny {
			return record.Visible(decision.Comment)
		}
	}
	return ""
}

func why(r *v1alpha1.ApprovalRequest) string {
	for _, condition := range r.Status.Conditions {
		if condition.Type == v1alpha1.ConditionApproved && condition.Status != metav1.ConditionTrue {
			return condition.Reason + ": " + condition.Message
		}
	}
	return "the manager declared it void"
}

// useAttempts bounds how often a use is tried anew where the object changed in
// between, such as by a further approver.
const useAttempts = 3

// Use marks the approval used. Where the answer is lost it counts as used, and
// the operation is not forwarded.
func (p *pending) Use(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := p.approvals.Client.approvalRequests(p.request.Namespace)
	p.mu.Lock()
	latest := p.latest
	p.mu.Unlock()
	var err error
	for range useAttempts {
		switch outcome, decided := p.judge(latest); {
		case decided && outcome.State != access.Approved:
			return fmt.Errorf("cannot use ApprovalRequest %q: %w", p.request.Name, &access.OverError{Outcome: outcome})
		case !decided || latest.Spec.Use != nil:
			return fmt.Errorf("cannot use ApprovalRequest %q: it is not approved any more", p.request.Name)
		}
		var patch []byte
		if patch, err = usePatch(latest, p.approvals.Instance); err != nil {
			return fmt.Errorf("cannot use ApprovalRequest %q: %w", p.request.Name, err)
		}
		var used *v1alpha1.ApprovalRequest
		used, err = client.Patch(ctx, p.request.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err == nil {
			if string(used.UID) != p.request.UID || used.Spec.Use == nil || used.Spec.Use.ProxyInstance != p.approvals.Instance {
				return fmt.Errorf("cannot use ApprovalRequest %q: the API server did not keep the use", p.request.Name)
			}
			p.Withdraw("")
			return nil
		}
		// A conflict, and nothing else, says that nothing was written.
		if !apierrors.IsConflict(err) {
			break
		}
		if latest, err = client.Get(ctx, p.request.Name, metav1.GetOptions{}); err != nil {
			break
		}
	}
	return fmt.Errorf("cannot use ApprovalRequest %q: %w", p.request.Name, errors.Join(err, ctx.Err()))
}

func usePatch(r *v1alpha1.ApprovalRequest, instance string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": r.UID, "resourceVersion": r.ResourceVersion},
		"spec": map[string]any{"use": map[string]any{
			"usedAt": metav1.NewTime(time.Now().UTC()), "proxyInstance": instance,
		}},
	})
}

// Withdraw forgets the request. The nonce that it needs is gone with the held
// operation, so that no decision can bring it back; the manager voids the
// object when its session ends or its time is over.
func (p *pending) Withdraw(_ string) {
	p.approvals.mu.Lock()
	defer p.approvals.mu.Unlock()
	delete(p.approvals.waiting, p.request.Name)
}
