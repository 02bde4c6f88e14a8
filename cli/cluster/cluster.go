// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is how the plugin's verbs reach the API server: with kubectl's own flags,
// with the rights of whoever runs them, and with errors that say which right is missing.
package cluster

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Flags say which cluster is meant, who asks, and about which namespace.
type Flags struct {
	*genericclioptions.ConfigFlags
	// All asks for every namespace, where the verb has that flag.
	All bool
	// Selector and FieldSelector choose objects by labels and by metadata, where the
	// verb has these flags.
	Selector, FieldSelector string
}

// NewFlags returns flags whose values are those of kubectl where they are not given.
func NewFlags() *Flags { return &Flags{ConfigFlags: genericclioptions.NewConfigFlags(true)} }

// Add gives a command the flags of the cluster, and a usage that lists them apart from its
// own.
func (f *Flags) Add(cmd *cobra.Command) {
	kubectl := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.AddFlags(kubectl)
	cmd.Flags().AddFlagSet(kubectl)
	_ = cmd.RegisterFlagCompletionFunc("namespace", f.CompleteNamespace)
	cmd.SetUsageFunc(func(cmd *cobra.Command) error { return usage(cmd, kubectl) })
}

// AddList gives a command the flags of one that lists.
func (f *Flags) AddList(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.All, "all-namespaces", "A", false, "List the objects of all namespaces.")
	cmd.Flags().StringVarP(&f.Selector, "selector", "l", "", "Label query to filter on, such as team=data.")
	cmd.Flags().StringVar(&f.FieldSelector, "field-selector", "", "Field query to filter on, such as metadata.name=orders-db-x7k2p.")
}

// Scope is the namespace that is asked about; empty for all of them.
func (f *Flags) Scope() (string, error) {
	if f.All {
		return "", nil
	}
	namespace, _, err := f.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("cannot tell which cluster is meant: %w", err)
	}
	return namespace, nil
}

// Client is a client with the rights of whoever runs the command.
func (f *Flags) Client() (client.WithWatch, error) {
	config, err := f.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot tell which cluster is meant: %w", err)
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper()})
	if err != nil {
		return nil, fmt.Errorf("cannot reach the cluster: %w", err)
	}
	return c, nil
}

// Scheme knows the kinds that the verbs read and write.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme), authorizationv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("cannot build scheme: %w", err)
	}
	return scheme, nil
}

// mapper knows the resources of these kinds, so that no verb has to discover them first.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	add := func(version schema.GroupVersion, scope meta.RESTScope, kinds ...string) {
		for _, kind := range kinds {
			m.Add(version.WithKind(kind), scope)
		}
	}
	add(v1alpha1.GroupVersion, meta.RESTScopeNamespace, "AccessPolicy", "ApprovalRequest", "AuditLog", "AuditSession", "Connection")
	add(v1alpha1.GroupVersion, meta.RESTScopeRoot, "ClusterAccessPolicy", "GatewayCredential", "IdentityProvider", "LogSink", "Notifier")
	add(corev1.SchemeGroupVersion, meta.RESTScopeNamespace, "ConfigMap")
	add(corev1.SchemeGroupVersion, meta.RESTScopeRoot, "Namespace")
	add(authenticationv1.SchemeGroupVersion, meta.RESTScopeRoot, "SelfSubjectReview")
	add(authorizationv1.SchemeGroupVersion, meta.RESTScopeRoot, "SelfSubjectAccessReview")
	return m
}
