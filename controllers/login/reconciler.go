// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/api/v1alpha1"
)

// keptAfterExpiry is for how long this process has known that a credential has ended before it
// is deleted: more than any proxy's clock may be behind, and longer than a clock of ours that
// was set ahead by mistake. What was revoked must not be forgotten before it has ended
// everywhere, since it would be good again.
const keptAfterExpiry = time.Hour

// longestRemembered is how long an object is kept to say that something was used: more
// than any assertion is good for.
const longestRemembered = 48 * time.Hour

// Reconciler deletes GatewayCredentials that have expired, and revokes those that were made
// of one that is revoked.
type Reconciler struct {
	// Client reads from caches, and writes.
	Client client.Client
	// User is the manager's own Kubernetes user name, who revokes.
	User string
	// Now is the clock; time.Now where nil.
	Now func() time.Time

	mu sync.Mutex // guards ended
	// ended is since when a credential, by its name, is known to have ended.
	ended map[string]time.Time
}

// Reconcile looks at one credential.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var credential v1alpha1.GatewayCredential
	if err := r.Client.Get(ctx, request.NamespacedName, &credential); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.Name)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read GatewayCredential: %w", err)
	}
	now := time.Now()
	if r.Now != nil {
		now = r.Now()
	}
	left := r.left(&credential, now)
	if left <= 0 {
		err := r.Client.Delete(ctx, &credential, client.Preconditions{UID: &credential.UID})
		if err = client.IgnoreNotFound(err); err != nil && !apierrors.IsConflict(err) {
			return ctrl.Result{}, fmt.Errorf("cannot delete GatewayCredential: %w", err)
		}
		return ctrl.Result{}, nil
	}
	if now.Before(credential.Spec.ExpiresAt.Time) {
		if err := r.follow(ctx, &credential); apierrors.IsConflict(err) {
			return ctrl.Result{RequeueAfter: time.Second}, nil
		} else if err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{RequeueAfter: left}, nil
}

// left is how long to wait until a credential's end, and from then until it may be deleted:
// the first by the clock, the second by how time passes.
func (r *Reconciler) left(credential *v1alpha1.GatewayCredential, now time.Time) time.Duration {
	until := endOf(credential).Sub(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if until > 0 {
		delete(r.ended, credential.Name)
		return until
	}
	since, known := r.ended[credential.Name]
	if !known {
		if r.ended == nil {
			r.ended = map[string]time.Time{}
		}
		since = now
		r.ended[credential.Name] = since
	}
	return keptAfterExpiry - now.Sub(since)
}

func (r *Reconciler) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ended, name)
}

// endOf is when a credential is of no use any more, also to say that something was used. What
// was written into it by somebody else keeps it no longer than anything can be good for.
func endOf(credential *v1alpha1.GatewayCredential) time.Time {
	end := credential.Spec.ExpiresAt.Time
	if remember, err := time.Parse(time.RFC3339, credential.Annotations[annotationRemember]); err == nil && remember.After(end) {
		end = latest(end, earlier(remember, credential.CreationTimestamp.Add(longestRemembered)))
	}
	return end
}

// follow revokes a credential with the one that it was made of.
func (r *Reconciler) follow(ctx context.Context, credential *v1alpha1.GatewayCredential) error {
	from := credential.Spec.DerivedFrom
	if from == "" || credential.Spec.Revoke != nil {
		return nil
	}
	var source v1alpha1.GatewayCredential
	err := r.Client.Get(ctx, client.ObjectKey{Name: from}, &source)
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("cannot read GatewayCredential: %w", err)
	}
	// One that is gone, although it is to stay longer than this one, proves nothing: by
	// admission nobody but the manager deletes any.
	if err == nil && source.Spec.Revoke == nil {
		return nil
	}
	credential.Spec.Revoke = &v1alpha1.Revocation{Reason: "it was made of credential " + from + ", which was revoked", Username: r.User}
	if err := r.Client.Update(ctx, credential); err != nil {
		return fmt.Errorf("cannot revoke GatewayCredential: %w", err)
	}
	return nil
}

// SetupWithManager watches credentials, and for each those that were made of it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("gatewaycredential").
		For(&v1alpha1.GatewayCredential{}).
		Watches(&v1alpha1.GatewayCredential{}, handler.EnqueueRequestsFromMapFunc(r.derived)).
		Complete(r)
}

// derived are the credentials that were made of one that is revoked.
func (r *Reconciler) derived(ctx context.Context, of client.Object) []reconcile.Request {
	source, isCredential := of.(*v1alpha1.GatewayCredential)
	if !isCredential || source.Spec.Revoke == nil {
		return nil
	}
	var all v1alpha1.GatewayCredentialList
	if err := r.Client.List(ctx, &all, client.MatchingLabels{labelOwner: source.Labels[labelOwner]}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list GatewayCredentials")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if all.Items[i].Spec.DerivedFrom == source.Name {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: all.Items[i].Name}})
		}
	}
	return requests
}
