// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stacktest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

// Create creates an object, as the cluster's admin, until the test ends.
func Create(t *testing.T, world *stack.Stack, object client.Object) {
	t.Helper()
	if err := world.Admin.Create(t.Context(), object); err != nil {
		t.Fatalf("cannot create %T %q: %v", object, object.GetName(), err)
	}
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(world.Admin.Delete(context.Background(), object)); err != nil {
			t.Error(err)
		}
	})
}

// Give creates policies until the test ends, and waits until the shop's proxies
// run them.
func Give(t *testing.T, world *stack.Stack, policies ...*v1alpha1.AccessPolicy) {
	t.Helper()
	for _, policy := range policies {
		Create(t, world, policy)
	}
	for _, policy := range policies {
		Must(t, world.AwaitPolicy(t.Context(), stack.Connection, policy.Name))
	}
}

// Change edits an object, as the cluster's admin, and returns when the API server
// had accepted it. The object is then as it is there.
func Change[T client.Object](t *testing.T, world *stack.Stack, object T, edit func(T)) (accepted time.Time) {
	t.Helper()
	// Cleanups change objects too, after the test's context has ended.
	ctx := context.WithoutCancel(t.Context())
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		edit(object)
		err := world.Admin.Update(ctx, object)
		accepted = time.Now()
		return err
	}); err != nil {
		t.Fatalf("cannot change %T %q: %v", object, object.GetName(), err)
	}
	return accepted
}

// StartProxy starts one more proxy until the test ends: of the shop's Connection,
// on a free port, with an instance of its own, where the options say nothing else.
func StartProxy(t *testing.T, world *stack.Stack, options stack.ProxyOptions) *stack.Proxy {
	t.Helper()
	if options.Connection == "" {
		options.Connection = stack.Connection
	}
	if options.Port == 0 {
		port, err := proc.FreePort(t.Context())
		Must(t, err)
		options.Port = port
	}
	if options.Instance == "" {
		options.Instance = fmt.Sprintf("%s-%d", options.Connection, options.Port)
	}
	proxy, err := world.StartProxy(t.Context(), options)
	Must(t, err)
	t.Cleanup(func() {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}
