// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-logr/logr"
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
		&v1alpha1.Connection{}, &v1alpha1.AccessPolicy{}, &v1alpha1.ClusterAccessPolicy{}, &v1alpha1.IdentityProvider{}, &v1alpha1.LogSink{}, &v1alpha1.GatewayCredential{}, &v1alpha1.Notifier{},
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
// before it serves either. Whoever asks learns the names of the checks; why one
// fails is in the log.
func addChecks(mgr ctrl.Manager, direct client.Reader, o Options, alive func() error) error {
	log := o.Logger.WithName("readiness")
	add := func(to func(string, healthz.Checker) error, name string, check healthz.Checker) error {
		return to(name, told(log, name, check))
	}
	errs := []error{
		// The API server's absence is no reason to be restarted.
		add(mgr.AddHealthzCheck, "heartbeats", func(*http.Request) error { return alive() }),
		add(mgr.AddReadyzCheck, "caches", synced(mgr.GetCache())),
	}
	if o.LeaderElection {
		errs = append(errs, add(mgr.AddReadyzCheck, "leader", electable(mgr.Elected(), direct, o.Namespace)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot add checks: %w", err)
	}
	return nil
}

// told has the words of a check logged, once for each change, numbers aside: nobody
// fills the log by asking.
func told(log logr.Logger, name string, check healthz.Checker) healthz.Checker {
	var mu sync.Mutex // guards failed and said
	failed, said := false, ""
	return func(r *http.Request) error {
		err := check(r)
		if err != nil && r.Context().Err() != nil {
			return err // who asked has left, which says nothing
		}
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			if failed {
				log.Info("Ready again", "check", name)
			}
			failed = false
			return nil
		}
		if now := strings.Map(noDigit, err.Error()); !failed || said != now {
			log.Info("Not ready", "check", name, "reason", err.Error())
			failed, said = true, now
		}
		return err
	}
}

func noDigit(r rune) rune {
	if unicode.IsDigit(r) {
		return -1
	}
	return r
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
