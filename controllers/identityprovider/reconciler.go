// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identityprovider says whether callers of an IdentityProvider can be
// accepted: whether it contradicts another, and whether its issuer answers.
package identityprovider

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
)

// Issuers that answer are asked again now and then, others soon.
const (
	askAgain = 10 * time.Minute
	retry    = 15 * time.Second
)

// workers is more than one, so that an issuer that hangs holds up no other.
const workers = 4

// Reconciler reconciles IdentityProviders.
type Reconciler struct {
	// Client reads from caches.
	Client client.Client
	// Discover asks an issuer; Discover of this package where nil.
	Discover func(ctx context.Context, issuer v1alpha1.OIDCIssuer) error
	// Now is the time; time.Now where nil.
	Now func() time.Time
}

// scope is what one reconciliation observed. Each field names the step that sets it.
type scope struct {
	provider *v1alpha1.IdentityProvider
	accepted kit.Verdict // compile
	reviewed bool        // ask
	asked    bool        // ask
	answer   error       // ask
	current  kit.Verdict // lookAhead; of type SAML alone
}

// Reconcile judges one provider and asks its issuer.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	provider := &v1alpha1.IdentityProvider{}
	if err := r.Client.Get(ctx, request.NamespacedName, provider); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("cannot read IdentityProvider: %w", err)
	}
	patcher := kit.NewPatcher(r.Client, provider)
	s := &scope{
		provider: provider, accepted: kit.Unknown(v1alpha1.ConditionAccepted, v1alpha1.ReasonProgressing, ""),
		current: kit.Unknown(v1alpha1.ConditionMetadataCurrent, v1alpha1.ReasonProgressing, ""),
	}
	err := kit.Run(ctx, s,
		kit.Step[scope]{Name: "compile", Run: r.compile},
		kit.Step[scope]{Name: "ask the issuer", Run: r.ask},
		kit.Step[scope]{Name: "look ahead", Run: r.lookAhead},
	)
	writeStatus(s)
	err = errors.Join(err, patcher.PatchStatus(ctx, provider))
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	if s.answer != nil {
		return kit.Result(err, retry)
	}
	return kit.Result(err, askAgain)
}

func (r *Reconciler) compile(ctx context.Context, s *scope) error {
	var all v1alpha1.IdentityProviderList
	if err := r.Client.List(ctx, &all); err != nil {
		return err
	}
	_, verdicts := compile.Providers(all.Items)
	if verdict, ok := verdicts[s.provider.Name]; ok {
		s.accepted = verdict
	}
	return nil
}

// ask reads the issuer's discovery document and keys. That it does not answer
// keeps nobody out: proxies ask for themselves.
func (r *Reconciler) ask(ctx context.Context, s *scope) error {
	if !s.accepted.OK() {
		return nil
	}
	issuer := s.provider.Spec.Issuer()
	if issuer == nil {
		return nil // of type SAML, which has none to ask
	}
	discover := r.Discover
	if discover == nil {
		discover = Discover
	}
	if cluster := s.provider.Spec.Kubernetes; cluster != nil && cluster.Verification == v1alpha1.TokenVerificationTokenReview {
		s.reviewed = true
		return nil
	}
	s.asked, s.answer = true, discover(ctx, *issuer)
	return nil
}

// SetupWithManager watches providers. Each is judged beside all others, so that a
// change of one concerns all.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	onSpec := builder.WithPredicates(kit.SpecChanged())
	return ctrl.NewControllerManagedBy(mgr).Named("identityprovider").
		For(&v1alpha1.IdentityProvider{}, onSpec).
		Watches(&v1alpha1.IdentityProvider{}, handler.EnqueueRequestsFromMapFunc(r.all), onSpec).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return kit.Requests(ctx, r.Client, &v1alpha1.IdentityProviderList{}, kit.All[*v1alpha1.IdentityProvider])
}
