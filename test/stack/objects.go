// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Scheme knows Kubernetes' and Doorward's kinds.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("cannot make a scheme: %w", err)
	}
	return scheme, nil
}

// NewClient makes a client of Kubernetes' and Doorward's kinds.
func NewClient(config *rest.Config) (client.Client, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("cannot make a client: %w", err)
	}
	return c, nil
}

// ShopConnection reads the shop's Connection.
func (s *Stack) ShopConnection(ctx context.Context) (*v1alpha1.Connection, error) {
	return s.connection(ctx, Connection)
}

func (s *Stack) connection(ctx context.Context, name string) (*v1alpha1.Connection, error) {
	var object v1alpha1.Connection
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, &object); err != nil {
		return nil, fmt.Errorf("cannot read Connection %q: %w", name, err)
	}
	return &object, nil
}

// ShopRuns says why not all proxies of the shop run a snapshot of a generation
// of its Connection, or nil.
func (s *Stack) ShopRuns(ctx context.Context, generation int64) error {
	object, err := s.ShopConnection(ctx)
	if err != nil {
		return err
	}
	if object.Status.ObservedGeneration < generation || object.Status.Snapshot == nil {
		return fmt.Errorf("the Connection's generation %d has not been seen yet", generation)
	}
	for _, proxy := range object.Status.Proxies {
		if proxy.Revision < object.Status.Snapshot.Revision {
			return fmt.Errorf("proxy %q runs revision %d, want %d", proxy.Instance, proxy.Revision, object.Status.Snapshot.Revision)
		}
	}
	return nil
}

// AuditLog reads the AuditLog of a proxy, by its instance.
func (s *Stack) AuditLog(ctx context.Context, instance string) (*v1alpha1.AuditLog, error) {
	var all v1alpha1.AuditLogList
	if err := s.Admin.List(ctx, &all, client.InNamespace(Namespace)); err != nil {
		return nil, fmt.Errorf("cannot list AuditLogs: %w", err)
	}
	for i := range all.Items {
		if all.Items[i].Spec.Instance == instance {
			return &all.Items[i], nil
		}
	}
	return nil, fmt.Errorf("no AuditLog of instance %q", instance)
}

// AuditSessions are all of the shop, by the client's address: of those with the
// same, since ports are used again, the newest.
func (s *Stack) AuditSessions(ctx context.Context) (map[string]*v1alpha1.AuditSession, error) {
	var list v1alpha1.AuditSessionList
	if err := s.Admin.List(ctx, &list, client.InNamespace(Namespace)); err != nil {
		return nil, fmt.Errorf("cannot list AuditSessions: %w", err)
	}
	all := map[string]*v1alpha1.AuditSession{}
	for i := range list.Items {
		object := &list.Items[i]
		if other := all[object.Spec.ClientAddress]; other == nil || other.Spec.StartedAt.Before(&object.Spec.StartedAt) {
			all[object.Spec.ClientAddress] = object
		}
	}
	return all, nil
}
