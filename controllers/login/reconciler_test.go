// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/config/admission"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/controllers/setup"
)

func reconcile(t *testing.T, name string, now time.Time) ctrl.Result {
	t.Helper()
	r := &login.Reconciler{Client: manager, User: admission.DefaultManagerUser, Now: func() time.Time { return now }}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestExpiry: an expired credential goes away, but not before every proxy's clock says so.
func TestExpiry(t *testing.T) {
	r := serve(t, nil)
	name := r.token(exchanging(person(t, "erik", nil))).text("credential")
	ends := credential(t, name).Spec.ExpiresAt.Time
	for _, now := range []time.Time{time.Now(), ends.Add(-time.Second), ends.Add(30 * time.Minute)} {
		if result := reconcile(t, name, now); result.RequeueAfter <= 0 {
			t.Errorf("at %s: it is not looked at again", now)
		}
		credential(t, name)
	}
	reconcile(t, name, ends.Add(time.Hour))
	if err := manager.Get(t.Context(), client.ObjectKey{Name: name}, &v1alpha1.GatewayCredential{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	reconcile(t, name, ends.Add(time.Hour))
}

// TestRevocationFollows: what was made of a credential ends with it.
func TestRevocationFollows(t *testing.T) {
	r := serve(t, nil)
	source := r.token(exchanging(person(t, "rita", nil)))
	derived := r.token(exchanging(source.text("access_token"), "subject_token_type", jwtType)).text("credential")
	reconcile(t, derived, time.Now())
	if credential(t, derived).Spec.Revoke != nil {
		t.Fatal("revoked without a reason")
	}
	object := credential(t, source.text("credential"))
	object.Spec.Revoke = &v1alpha1.Revocation{Reason: "laptop lost"}
	if err := manager.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	reconcile(t, derived, time.Now())
	if revoke := credential(t, derived).Spec.Revoke; revoke == nil || !strings.Contains(revoke.Reason, object.Name) || revoke.Username != admission.DefaultManagerUser {
		t.Errorf("got %+v", revoke)
	}
	// Again: it is said once.
	reconcile(t, derived, time.Now())
}

// TestRevocationIsWatched: nobody has to look at what was made of a credential: its own
// revocation leads there.
func TestRevocationIsWatched(t *testing.T) {
	scheme, err := setup.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(managerConfig, ctrl.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&login.Reconciler{Client: mgr.GetClient(), User: admission.DefaultManagerUser}).SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the manager's cache does not fill")
	}
	r := serve(t, nil)
	source := r.token(exchanging(person(t, "wanda", nil)))
	derived := r.token(exchanging(source.text("access_token"), "subject_token_type", jwtType)).text("credential")
	// Known to the manager, and left alone by it, before its source is revoked.
	await(t, func() bool {
		return mgr.GetClient().Get(ctx, client.ObjectKey{Name: derived}, &v1alpha1.GatewayCredential{}) == nil
	})
	object := credential(t, source.text("credential"))
	object.Spec.Revoke = &v1alpha1.Revocation{Reason: "laptop lost"}
	if err := manager.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return credential(t, derived).Spec.Revoke != nil })
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
