// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/show"
)

// Request is what was asked of the API server, for errors.
type Request struct {
	// Verb is RBAC's.
	Verb string
	// Resource is resource.group, as kubectl auth can-i takes it.
	Resource string
	// Namespace is empty for cluster-scoped kinds and for all namespaces.
	Namespace string
	// Name is empty for lists.
	Name string
	// Remedy is what to do where the right is missing; asking for the verb where empty.
	Remedy string
}

// Ours is the resource of one of Doorward's kinds.
func Ours(resource string) string { return resource + "." + v1alpha1.GroupName }

// MissingRight says that RBAC forbids what a verb needs.
type MissingRight struct {
	text string
	err  error
}

func (m *MissingRight) Error() string { return m.text }

// Unwrap returns the API server's answer.
func (m *MissingRight) Unwrap() error { return m.err }

// Failed says what became of a request: which right is missing, what is not there, or what
// does not answer. Nil stays nil.
func (r Request) Failed(err error) error {
	if err == nil {
		return nil
	}
	what := r.Resource
	if r.Name != "" {
		what += " " + show.Line(r.Name)
	}
	if r.Namespace != "" {
		what += " in namespace " + r.Namespace
	}
	remedy := r.Remedy
	if remedy == "" {
		remedy = fmt.Sprintf("ask for the verb %q on %s", r.Verb, r.Resource)
	}
	switch {
	case apierrors.IsForbidden(err):
		return &MissingRight{text: fmt.Sprintf("not permitted to %s %s: %s", r.Verb, what, remedy), err: err}
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("cannot %s %s: the API server does not know you: log in again, and try \"kubectl auth whoami\": %w", r.Verb, what, err)
	case (apierrors.IsNotFound(err) && r.Name == "" || meta.IsNoMatchError(err)) && strings.HasSuffix(r.Resource, "."+v1alpha1.GroupName):
		return fmt.Errorf("cannot %s %s: this cluster has no such kind: Doorward is not installed there, or --context names another cluster: %w", r.Verb, what, err)
	case apierrors.IsNotFound(err) && r.Name != "":
		return fmt.Errorf("no %s: see \"kubectl get %s\", or name another namespace with --namespace", what, r.Resource)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("cannot %s %s: %w", r.Verb, what, err)
}
