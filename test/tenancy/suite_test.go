// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tenancy is everybody who might try to reach what is somebody else's: a
// proxy that was taken over, with its real token, the admin of another namespace,
// and the manager itself. They try at a real API server with our admission
// policies, against what a running manager made.
package tenancy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/operator"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

const (
	// shop and till are two tenants' namespaces of Connections; nobody is bound in
	// private.
	shop, till, private = "shop-access", "till-access", "private"
	// testTimeout bounds whatever a test waits for.
	testTimeout = 90 * time.Second
)

var (
	env   *testenv.Env
	admin client.WithWatch
)

func TestMain(m *testing.M) {
	os.Exit(operator.Run(m, operator.Suite{Env: &env, Admin: &admin, Namespaces: []string{shop, till}, Prepare: prepare, Ready: ready}))
}

// prepare makes the tenants' objects.
func prepare(ctx context.Context) error {
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: private}}); err != nil {
		return err
	}
	for _, object := range objects() {
		if err := admin.Create(ctx, object); err != nil {
			return fmt.Errorf("cannot create %T %q: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// ready waits for what the manager makes of them, and for what there is to grant.
func ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	return stack.Await(ctx, func(ctx context.Context) error {
		for _, name := range []client.ObjectKey{{Namespace: shop, Name: "orders"}, {Namespace: shop, Name: "stock"}, {Namespace: shop, Name: "wages"}, {Namespace: till, Name: "till"}} {
			for _, kind := range []client.Object{&corev1.Secret{}, &rbacv1.RoleBinding{}} {
				key := client.ObjectKey{Namespace: name.Namespace, Name: "doorward-" + name.Name}
				if _, secret := kind.(*corev1.Secret); secret {
					key.Name += "-sinks" // the last that is made
				}
				if err := admin.Get(ctx, key, kind); err != nil {
					return err
				}
			}
		}
		// Until kube-controller-manager has put it together, there is nothing in it to grant.
		var aggregated rbacv1.ClusterRole
		if err := admin.Get(ctx, client.ObjectKey{Name: "admin"}, &aggregated); err != nil || len(aggregated.Rules) == 0 {
			return errors.Join(errors.New("ClusterRole admin is empty"), err)
		}
		return nil
	})
}

// account is a client with a ServiceAccount's real token.
func account(t *testing.T, namespace, name string) client.Client {
	t.Helper()
	config, err := env.ServiceAccountConfig(t.Context(), namespace, name)
	must(t, err)
	return clientOf(t, config)
}

func clientOf(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: admin.Scheme()})
	must(t, err)
	return c
}

// attempt is something that must be refused.
type attempt struct {
	reason string
	// words of the refusal; any refusal where empty.
	words string
	try   func() error
}

// refused makes attempts, each of which the API server refuses.
func refused(t *testing.T, attempts map[string]attempt) {
	t.Helper()
	for name, a := range attempts {
		t.Run(name, func(t *testing.T) {
			t.Log(a.reason)
			err := a.try()
			switch {
			case err == nil:
				t.Errorf("it was let through: %s", a.reason)
			case !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err):
				t.Errorf("want a refusal, got: %v", err)
			case !strings.Contains(err.Error(), a.words):
				t.Errorf("want a refusal that says %q, got: %v", a.words, err)
			}
		})
	}
}

// settles waits until there is no error.
func settles(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := stack.Await(ctx, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// unchanged returns what fails the test where an object is not what it was: what
// the manager says of it apart.
func unchanged(t *testing.T, objects ...client.Object) func() {
	t.Helper()
	before := make([]string, len(objects))
	for i, object := range objects {
		must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(object), object))
		before[i] = essence(object)
	}
	return func() {
		for i, object := range objects {
			err := admin.Get(context.WithoutCancel(t.Context()), client.ObjectKeyFromObject(object), object)
			if err == nil && essence(object) != before[i] {
				err = errors.New("it was changed")
			}
			if err != nil {
				t.Errorf("%T %q: %v", object, object.GetName(), err)
			}
		}
	}
}

func essence(object client.Object) string {
	return fmt.Sprint(object.GetUID(), object.GetGeneration(), object.GetLabels(), object.GetAnnotations(), object.GetOwnerReferences(), object.GetFinalizers())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
