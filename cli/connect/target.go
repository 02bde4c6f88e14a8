// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/audit"
)

// target is a Connection as its callers see it.
type target struct {
	namespace, name, protocol string
	// endpoint is host:port, and the host is in the proxy's certificate.
	endpoint string
	options  []byte
	// warning is why callers may not get in now; empty where nothing is known of.
	warning string
}

// lookup is where the Connection is looked up.
type lookup struct {
	config    *rest.Config
	reader    client.Client
	namespace string
}

func openCluster(flags *genericclioptions.ConfigFlags) (*lookup, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("cannot tell the namespace: %w", err)
	}
	reader, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	return &lookup{config: config, reader: reader, namespace: namespace}, nil
}

// find reads a Connection, named NAME or NAMESPACE/NAME.
func (c *lookup) find(ctx context.Context, given string) (*target, error) {
	namespace, name, both := strings.Cut(given, "/")
	if !both {
		namespace, name = c.namespace, given
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("not a Connection: %q: want NAME, or NAMESPACE/NAME", given)
	}
	found := &v1alpha1.Connection{}
	err := c.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, found)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("not permitted to read Connection %q: ask for the verb \"get\" on connections.%s in namespace %q", name, v1alpha1.GroupName, namespace)
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("no Connection %q in namespace %q: run \"kubectl get connections --all-namespaces\", or give another one with --namespace", name, namespace)
	case err != nil:
		return nil, fmt.Errorf("cannot read Connection %q: %w", name, err)
	}
	t := &target{
		namespace: namespace, name: name, protocol: found.Spec.Protocol, endpoint: found.Status.Endpoint,
		options: rawOptions(found),
	}
	ready := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Status != metav1.ConditionTrue {
		t.warning = audit.Safe(fmt.Sprintf("%s: %s", ready.Reason, ready.Message))
	}
	if _, _, err := net.SplitHostPort(t.endpoint); err != nil {
		return nil, fmt.Errorf("connection %q has no endpoint yet: %s: see \"kubectl -n %s describe connection %s\"", name, cmp.Or(t.warning, "the manager has not seen it"), namespace, name)
	}
	return t, nil
}

func known() string {
	names := make([]string, 0, len(protocols))
	for name := range protocols {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
