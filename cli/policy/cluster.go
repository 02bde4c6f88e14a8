// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
)

// loadCluster reads, with the rights of whoever runs the command, what the Connections of
// one namespace are compiled from. files says whether files could be given instead.
func loadCluster(ctx context.Context, flags *genericclioptions.ConfigFlags, namespace string, files bool) (*objects, []string, error) {
	reader, err := newReader(flags)
	if err != nil {
		return nil, nil, err
	}
	all := newObjects()
	all.orFiles = files
	var connections v1alpha1.ConnectionList
	var policies v1alpha1.AccessPolicyList
	var clusterPolicies v1alpha1.ClusterAccessPolicyList
	var providers v1alpha1.IdentityProviderList
	// All that is missing is said at once.
	var missing []error
	for _, wanted := range []struct {
		list     client.ObjectList
		resource string
		within   string
	}{
		{&connections, "connections", namespace},
		{&policies, "accesspolicies", namespace},
		{&clusterPolicies, "clusteraccesspolicies", ""},
		{&providers, "identityproviders", ""},
	} {
		err := reader.List(ctx, wanted.list, client.InNamespace(wanted.within))
		if err := all.denied(err, "list", wanted.resource+"."+v1alpha1.GroupName, wanted.within, ""); err != nil {
			missing = append(missing, err)
		}
	}
	if len(missing) > 0 {
		return nil, nil, errors.Join(missing...)
	}
	all.connections, all.policies = connections.Items, policies.Items
	all.clusterPolicies, all.providers = clusterPolicies.Items, providers.Items
	all.name()
	var notes []string
	if len(all.clusterPolicies) > 0 {
		var own corev1.Namespace
		if err := all.denied(reader.Get(ctx, client.ObjectKey{Name: namespace}, &own), "get", "namespaces", "", namespace); err != nil {
			return nil, nil, err
		}
		all.namespaces[namespace] = labelsOf(&own)
	}
	notes, err = all.fetchConfigMaps(ctx, reader)
	return all, notes, err
}

// newReader is a client with the rights of whoever runs the command.
func newReader(flags *genericclioptions.ConfigFlags) (client.Client, error) {
	return (&cluster.Flags{ConfigFlags: flags}).Client()
}

// denied says which right is missing, where that is the error.
func (o *objects) denied(err error, verb, resource, namespace, name string) error {
	asked := cluster.Request{Verb: verb, Resource: resource, Namespace: namespace, Name: name}
	if o.orFiles {
		asked.Remedy = fmt.Sprintf("ask for the verb %q on %s, or give the files that hold the objects with --filename", verb, resource)
	}
	return asked.Failed(err)
}

// name notes where the objects come from.
func (o *objects) name() {
	note := func(kind string, object client.Object) {
		name := objectName(kind, object.GetNamespace(), object.GetName())
		o.origins[name] = origin{object: name}
	}
	for i := range o.connections {
		note("Connection", &o.connections[i])
	}
	for i := range o.policies {
		note("AccessPolicy", &o.policies[i])
	}
	for i := range o.clusterPolicies {
		note("ClusterAccessPolicy", &o.clusterPolicies[i])
	}
	for i := range o.providers {
		note("IdentityProvider", &o.providers[i])
	}
}

// fetchConfigMaps reads those that Connections and policies refer to. One that is not
// there is left out, as the manager has it. Without the right to read the authority of a
// target it is taken to be there, since no decision depends on it.
func (o *objects) fetchConfigMaps(ctx context.Context, reader client.Reader) ([]string, error) {
	fetch := func(namespace, name string) error {
		var found corev1.ConfigMap
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &found)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err := o.denied(err, "get", "configmaps", namespace, name); err != nil {
			return err
		}
		for i := range o.configMaps {
			if o.configMaps[i].Namespace == namespace && o.configMaps[i].Name == name {
				return nil
			}
		}
		o.configMaps = append(o.configMaps, found)
		return nil
	}
	for i := range o.policies {
		p := &o.policies[i]
		if p.Spec.Rego != nil && p.Spec.Rego.ConfigMap != nil {
			if err := fetch(p.Namespace, p.Spec.Rego.ConfigMap.Name); err != nil {
				return nil, err
			}
		}
	}
	for i := range o.connections {
		c := &o.connections[i]
		if c.Spec.TLS == nil || c.Spec.TLS.CertificateAuthority == nil || c.Spec.TLS.CertificateAuthority.ConfigMap == nil {
			continue
		}
		if err := fetch(c.Namespace, c.Spec.TLS.CertificateAuthority.ConfigMap.Name); err != nil {
			return o.assumeAuthority(), nil //nolint:nilerr // see above
		}
	}
	return nil, nil
}
