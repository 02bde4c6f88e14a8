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

// clocked is a Reconciler whose clock a test sets.
type clocked struct {
	*login.Reconciler
	now time.Time
}

func newClocked() *clocked {
	c := &clocked{}
	c.Reconciler = &login.Reconciler{Client: manager, User: admission.DefaultManagerUser, Now: func() time.Time { return c.now }}
	return c
}

func (c *clocked) at(t *testing.T, name string, now time.Time) ctrl.Result {
	t.Helper()
	c.now = now
	result, err := c.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func reconcile(t *testing.T, name string, now time.Time) {
	t.Helper()
	newClocked().at(t, name, now)
}

// TestExpiry: a credential goes away an hour after its end was noticed: not before every
// proxy's clock says so, nor because ours was wrong for a while, which would bring back to life
// what was revoked.
func TestExpiry(t *testing.T) {
	r := serve(t, nil)
	name := r.token(exchanging(person(t, "erik", nil))).text("credential")
	object := credential(t, name)
	object.Spec.Revoke = &v1alpha1.Revocation{Reason: "laptop lost"}
	if err := manager.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	ends, c := object.Spec.ExpiresAt.Time, newClocked()
	for _, step := range []struct {
		reason string
		now    time.Time
	}{
		{"it is good", time.Now()},
		{"the clock jumps ahead", ends.AddDate(0, 0, 1)},
		{"and goes on from there", ends.AddDate(0, 0, 1).Add(59 * time.Minute)},
		{"it is right again", ends.Add(-time.Second)},
		{"its end is noticed late", ends.Add(30 * time.Minute)},
		{"other clocks are behind", ends.Add(89 * time.Minute)},
	} {
		if result := c.at(t, name, step.now); result.RequeueAfter <= 0 {
			t.Errorf("%s: it is not looked at again", step.reason)
		}
		if credential(t, name).Spec.Revoke == nil {
			t.Errorf("%s: it is not revoked any more", step.reason)
		}
	}
	c.at(t, name, ends.Add(90*time.Minute))
	if err := manager.Get(t.Context(), client.ObjectKey{Name: name}, &v1alpha1.GatewayCredential{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	c.at(t, name, ends.Add(90*time.Minute))
}

// TestRemembered (checklist 30): what says that an assertion was used is there as long as the
// assertion is good, and not for ever, whatever was written into it.
func TestRemembered(t *testing.T) {
	r := serve(t, nil)
	for text, kept := range map[string]time.Duration{"5h": 5 * time.Hour, "500h": 48 * time.Hour, "none": time.Hour} {
		name := r.token(exchanging(person(t, "remy", nil))).text("credential")
		object := credential(t, name)
		made := object.CreationTimestamp.Time
		if until, err := time.ParseDuration(text); err == nil {
			object.Annotations = map[string]string{"doorward.dev/remember-until": made.Add(until).Format(time.RFC3339)}
		} else {
			object.Annotations = map[string]string{"doorward.dev/remember-until": text}
		}
		if err := manager.Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		c := newClocked()
		if result := c.at(t, name, made.Add(kept-time.Minute)); result.RequeueAfter > 2*time.Minute {
			t.Errorf("%s: its end is %s away, want %s after it was made", text, result.RequeueAfter, kept)
		}
		c.at(t, name, made.Add(kept+50*time.Minute))
		credential(t, name)
		c.at(t, name, made.Add(kept+2*time.Hour))
		if err := manager.Get(t.Context(), client.ObjectKey{Name: name}, &v1alpha1.GatewayCredential{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: it is still there: %v", text, err)
		}
	}
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
