// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Await asks again and again until there is no error; the error it gives up
// with is the last.
func Await(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		// What fails because the time is up says nothing of the cause.
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// WaitReady waits until the manager says that a Connection is ready.
func (s *Stack) WaitReady(ctx context.Context, connection string) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	return Await(ctx, func(ctx context.Context) error {
		_, err := s.readyConnection(ctx, connection)
		return err
	})
}

func (s *Stack) readyConnection(ctx context.Context, connection string) (*v1alpha1.Connection, error) {
	object, err := s.connection(ctx, connection)
	if err != nil {
		return nil, err
	}
	ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return nil, fmt.Errorf("connection %q has no condition Ready yet", connection)
	case ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != object.Generation:
		return nil, fmt.Errorf("connection %q is not ready: %s: %s", connection, ready.Reason, ready.Message)
	}
	return object, nil
}

// AwaitPolicy waits until every proxy of a Connection runs a snapshot that was
// made after an AccessPolicy's last change.
func (s *Stack) AwaitPolicy(ctx context.Context, connection, policy string) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	return Await(ctx, func(ctx context.Context) error { return s.policyArrived(ctx, connection, policy) })
}

func (s *Stack) policyArrived(ctx context.Context, connection, policy string) error {
	var object v1alpha1.AccessPolicy
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: policy}, &object); err != nil {
		return fmt.Errorf("cannot read AccessPolicy %q: %w", policy, err)
	}
	if object.Status.ObservedGeneration != object.Generation {
		return fmt.Errorf("policy %q has not been compiled yet", policy)
	}
	for _, in := range object.Status.Connections {
		if in.Name != connection {
			continue
		}
		if in.Revision == 0 {
			return fmt.Errorf("policy %q is not yet in the snapshot of connection %q", policy, connection)
		}
		ready, err := s.readyConnection(ctx, connection)
		if err != nil {
			return err
		}
		for _, proxy := range ready.Status.Proxies {
			if proxy.Revision < in.Revision {
				return fmt.Errorf("proxy %q runs revision %d, policy %q is in %d", proxy.Instance, proxy.Revision, policy, in.Revision)
			}
		}
		return nil
	}
	return fmt.Errorf("policy %q is in no snapshot of connection %q", policy, connection)
}
