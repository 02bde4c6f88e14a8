// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/enforcement"
	"github.com/doorward/doorward/controllers/kit"
)

// unjudged is a step that does nothing where the request was judged already.
func unjudged(run func(context.Context, *scope) error) func(context.Context, *scope) error {
	return func(ctx context.Context, s *scope) error {
		if s.judged {
			return nil
		}
		return run(ctx, s)
	}
}

// look reads the live Connection, policies and session.
func (r *Reconciler) look(ctx context.Context, s *scope) error {
	namespace := s.request.Namespace
	connection := &v1alpha1.Connection{}
	found, err := r.find(ctx, client.ObjectKey{Namespace: namespace, Name: s.request.Spec.ConnectionRef.Name}, connection)
	if err != nil {
		return err
	}
	if found {
		s.facts.Connection = connection
	}
	if s.request.Spec.Scope == v1alpha1.ApprovalScopeSession {
		return r.lookRequested(ctx, s)
	}
	for _, bound := range s.request.Spec.Binding.Policies {
		if err := r.lookPolicy(ctx, s, bound); err != nil {
			return err
		}
	}
	session := &v1alpha1.AuditSession{}
	found, err = r.find(ctx, client.ObjectKey{Namespace: namespace, Name: s.request.Spec.Holder.Session}, session)
	if err != nil {
		return err
	}
	if found {
		s.facts.Session = session
	}
	return nil
}

// lookRequested reads the policies whose rules a request of scope Session names.
func (r *Reconciler) lookRequested(ctx context.Context, s *scope) error {
	for _, wanted := range s.request.Spec.Session.Rules {
		switch wanted.Kind {
		case v1alpha1.KindAccessPolicy:
			policy := &v1alpha1.AccessPolicy{}
			found, err := r.find(ctx, client.ObjectKey{Namespace: s.request.Namespace, Name: wanted.Policy}, policy)
			if err != nil {
				return err
			}
			if found {
				s.facts.Policies[string(policy.UID)] = Policy{
					Kind: wanted.Kind, Name: policy.Name, UID: string(policy.UID), Generation: policy.Generation, Rules: policy.Spec.Rules,
					Audit:     policy.Spec.Mode == v1alpha1.PolicyModeAudit,
					Elsewhere: s.facts.Connection != nil && !compile.Selects(policy, s.facts.Connection),
				}
			}
		case v1alpha1.KindClusterAccessPolicy:
			policy := &v1alpha1.ClusterAccessPolicy{}
			found, err := r.find(ctx, client.ObjectKey{Name: wanted.Policy}, policy)
			if err != nil {
				return err
			}
			if found {
				// Which namespaces it selects does not matter: its rule holds where
				// proxies have it.
				s.facts.Policies[string(policy.UID)] = Policy{
					Kind: wanted.Kind, Name: policy.Name, UID: string(policy.UID), Generation: policy.Generation, Rules: policy.Spec.Rules,
					Audit: policy.Spec.Mode == v1alpha1.PolicyModeAudit,
				}
			}
		}
	}
	return nil
}

// count counts the requester's elder requests where the request was not judged yet, and
// judges it where it is one too many: that costs no more than one look into a cache.
func (r *Reconciler) count(ctx context.Context, s *scope) error {
	s.facts = Facts{Request: s.request, Policies: map[string]Policy{}, Now: r.Now()}
	if s.request.Status.Phase != "" {
		return nil
	}
	// One after the other, so that no two of them take the last place.
	r.places.mu.Lock()
	defer r.places.mu.Unlock()
	if err := r.countOthers(ctx, &s.facts); err != nil {
		return err
	}
	if s.judged = s.result.exceeds(s.facts); !s.judged {
		r.places.taken[client.ObjectKeyFromObject(s.request)] = true
	}
	return nil
}

// places are the requests that this process lets wait, until the cache has it that they do.
type places struct {
	mu    sync.Mutex
	taken map[client.ObjectKey]bool
}

// seen is called with what the cache has.
func (p *places) seen(key client.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, key)
}

// countOthers counts the requester's other requests. Which of one second was made first
// nobody knows, so that one that waits counts whenever it was made. The places are locked.
func (r *Reconciler) countOthers(ctx context.Context, f *Facts) error {
	var list v1alpha1.ApprovalRequestList
	if err := r.Client.List(ctx, &list, client.InNamespace(f.Request.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("cannot count the requester's requests: %w", err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == f.Request.UID || other.Spec.Requester.Username != f.Request.Spec.Requester.Username {
			continue
		}
		before := elder(other, f.Request)
		if before {
			f.Kept++
		}
		promised := other.Status.Phase == "" && (before || r.places.taken[client.ObjectKeyFromObject(other)])
		if promised || other.Status.Phase == v1alpha1.ApprovalPending {
			f.Waiting++
		}
	}
	return nil
}

// crowd is how many elder requests its requester has where a request that nobody has judged
// is one too many; else zero. It asks the cache alone, and returns what that has.
func (r *Reconciler) crowd(ctx context.Context, key ctrl.Request) (*v1alpha1.ApprovalRequest, int, error) {
	request := &v1alpha1.ApprovalRequest{}
	if err := r.Client.Get(ctx, key.NamespacedName, request); err != nil {
		if apierrors.IsNotFound(err) {
			r.places.seen(key.NamespacedName)
			return nil, 0, nil
		}
		return nil, 0, err
	}
	facts := Facts{Request: request}
	if request.Status.Phase != "" || request.DeletionTimestamp != nil {
		r.places.seen(key.NamespacedName)
		return request, 0, nil
	}
	r.places.mu.Lock()
	defer r.places.mu.Unlock()
	if err := r.countOthers(ctx, &facts); err != nil || !(&Result{}).exceeds(facts) {
		return request, 0, err
	}
	return request, facts.Kept, nil
}

// endAnyhow judges what needs no proof that it can be believed.
func (r *Reconciler) endAnyhow(_ context.Context, s *scope) error {
	if result, over := endsAnyhow(s.facts); over {
		s.result, s.judged = result, true
	}
	return nil
}

// elder says which of two requests was made before the other; of one second, by name.
func elder(a, b *v1alpha1.ApprovalRequest) bool {
	if at := b.CreationTimestamp.Time; !a.CreationTimestamp.Time.Equal(at) {
		return a.CreationTimestamp.Time.Before(at)
	}
	return a.Name < b.Name
}

// lookPolicy reads a policy that the request is bound to. An AccessPolicy and a
// ClusterAccessPolicy may have the same name: the UID tells which one it is.
func (r *Reconciler) lookPolicy(ctx context.Context, s *scope, bound v1alpha1.BoundRule) error {
	policy := &v1alpha1.AccessPolicy{}
	found, err := r.find(ctx, client.ObjectKey{Namespace: s.request.Namespace, Name: bound.Name}, policy)
	if err != nil {
		return err
	}
	if found && string(policy.UID) == bound.UID {
		s.facts.Policies[bound.UID] = Policy{Generation: policy.Generation, Rules: policy.Spec.Rules, Module: policy.Spec.Rego != nil}
		return nil
	}
	cluster := &v1alpha1.ClusterAccessPolicy{}
	found, err = r.find(ctx, client.ObjectKey{Name: bound.Name}, cluster)
	if err != nil {
		return err
	}
	if found && string(cluster.UID) == bound.UID {
		s.facts.Policies[bound.UID] = Policy{Generation: cluster.Generation, Rules: cluster.Spec.Rules}
	}
	return nil
}

func (r *Reconciler) find(ctx context.Context, key client.ObjectKey, into client.Object) (bool, error) {
	err := r.Live.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// believe proves enforcement after the request was read, so that the proof covers
// every decision that was read.
func (r *Reconciler) believe(ctx context.Context, s *scope) error {
	err := r.Believer.Believe(ctx, s.request)
	if err == nil && s.request.Spec.Session.BreakGlass == v1alpha1.BreakGlassDeclared {
		s.enforcement, err = r.Believer.Interval(ctx)
	}
	if errors.Is(err, enforcement.ErrNotEnforced) {
		s.facts.NotBelieved = err
		return nil
	}
	return err
}

// ask repeats the question that admission asked, with the stamped user and groups.
func (r *Reconciler) ask(ctx context.Context, s *scope) error {
	s.facts.Entitled = map[int]bool{}
	if s.facts.NotBelieved != nil {
		return nil //nolint:nilerr // the status says so
	}
	from := len(s.request.Status.Decisions)
	if s.request.Spec.Scope == v1alpha1.ApprovalScopeSession {
		// Its approval is used until its time is over: approvers must be entitled as long.
		from = 0
	}
	for i := from; i < len(s.request.Spec.Decisions); i++ {
		approver := s.request.Spec.Decisions[i].Approver
		if approver == nil {
			continue
		}
		var err error
		if s.facts.Entitled[i], err = r.entitled(ctx, s.request, approver); err != nil {
			return err
		}
	}
	return nil
}

// entitled asks whether a stamped user holds the verb approve on the Connection.
func (r *Reconciler) entitled(ctx context.Context, request *v1alpha1.ApprovalRequest, who *v1alpha1.DecisionApprover) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.Username, Groups: who.Groups, UID: who.UID,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: request.Namespace, Verb: v1alpha1.VerbApprove, Group: v1alpha1.GroupName, Version: v1alpha1.GroupVersion.Version,
			Resource: "connections", Name: request.Spec.ConnectionRef.Name,
		},
	}}
	if err := r.Client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("cannot review access of %q: %w", who.Username, err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}

func (r *Reconciler) judge(_ context.Context, s *scope) error {
	s.result, s.judged = Evaluate(s.facts), true
	return nil
}

// tell makes an Event on the Connection of each change of phase.
func (r *Reconciler) tell(s *scope) {
	phase := s.request.Status.Phase
	if r.Events == nil || s.facts.Connection == nil || phase == v1alpha1.ApprovalPending {
		return
	}
	if s.result.BreakGlass && phase == v1alpha1.ApprovalApproved {
		return // warn says more
	}
	kind := corev1.EventTypeNormal
	if phase == v1alpha1.ApprovalVoid || phase == v1alpha1.ApprovalDenied || phase == v1alpha1.ApprovalRevoked {
		kind = corev1.EventTypeWarning
	}
	why := ""
	if s.result.Message != "" {
		why = ": " + s.result.Message
	}
	r.Events.Eventf(s.facts.Connection, s.request, kind, "Approval"+string(phase), "Approve",
		"%s", kit.Note("ApprovalRequest %s of %s is %s%s", s.request.Name, s.request.Spec.Requester.Username, phase, why))
}
