// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/doorward/doorward/api/v1alpha1"
)

// leaseName is the Lease that managers are elected by.
const leaseName = "doorward-manager"

// How long a check may take.
const (
	syncTimeout  = time.Second
	leaseTimeout = 2 * time.Second
)

// warm has the caches of all kinds filled from the start, also in a manager that
// does not lead: it takes over with them, and its readiness means something.
func warm(ctx context.Context, c cache.Cache) error {
	for _, object := range []client.Object{
		&v1alpha1.Connection{}, &v1alpha1.AccessPolicy{}, &v1alpha1.IdentityProvider{}, &v1alpha1.LogSink{},
		&v1alpha1.ApprovalRequest{}, &v1alpha1.AuditSession{}, &v1alpha1.AuditLog{},
	} {
		if _, err := c.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("cannot watch %T: %w", object, err)
		}
	}
	return nil
}

// addChecks adds what the manager says of itself: /healthz that only a restart
// could mend, /readyz whatever keeps it from its work. The keys are loaded
// before it serves either.
func addChecks(mgr ctrl.Manager, direct client.Reader, namespace string, elects bool, alive func() error) error {
	errs := []error{
		// The API server's absence is no reason to be restarted.
		mgr.AddHealthzCheck("heartbeats", func(*http.Request) error { return alive() }),
		mgr.AddReadyzCheck("caches", synced(mgr.GetCache())),
	}
	if elects {
		errs = append(errs, mgr.AddReadyzCheck("leader", electable(mgr.Elected(), direct, namespace)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot add checks: %w", err)
	}
	return nil
}

// syncer is what is asked of a cache.
type syncer interface {
	WaitForCacheSync(ctx context.Context) bool
}

// synced is ready when the caches hold what there was.
func synced(c syncer) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), syncTimeout)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the caches do not hold all objects yet")
		}
		return nil
	}
}

// electable is ready when this manager leads, or could: the Lease can be read.
func electable(elected <-chan struct{}, reader client.Reader, namespace string) healthz.Checker {
	return func(r *http.Request) error {
		select {
		case <-elected:
			return nil
		default:
		}
		ctx, cancel := context.WithTimeout(r.Context(), leaseTimeout)
		defer cancel()
		var lease coordinationv1.Lease
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaseName}, &lease)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("cannot take over: the Lease %q cannot be read: %w", leaseName, err)
		}
		return nil
	}
}
