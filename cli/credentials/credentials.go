// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials is the plugin's verb about GatewayCredentials, which the login portal
// issues: seeing one's own, and ending one.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/cli/show"
)

// resource is that of GatewayCredentials.
const resource = "gatewaycredentials"

// ownerRemedy is what to do where a right is missing.
const ownerRemedy = "an admin has to bind ClusterRole doorward-credential-owner to you in the whole cluster"

// listing are the flags of credentials.
type listing struct {
	*cluster.Flags
	output *show.Output
	all    bool
}

// NewCommand returns the command credentials.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	scheme, err := cluster.Scheme()
	o := &listing{Flags: cluster.NewFlags(), output: show.NewOutput(scheme)}
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Show credentials of the login portal",
		Long: `Show the credentials that the login portal has issued to you and that are still good:
tokens, client certificates and SSH certificates. They hold nothing that proves anybody:
they are what a credential is called, and what it is ended by.

Whoever may list GatewayCredentials sees those of every machine. Without that right, those
of the logins on this machine are shown.`,
		Example: `  # Your own
  kubectl doorward credentials

  # End one
  kubectl doorward credentials revoke 9f2c4e6a81b35d7092ce4f1a6b8d3057 --reason 'laptop lost'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err != nil {
				return err
			}
			if err := o.output.Check(); err != nil {
				return err
			}
			return o.run(cmd.Context(), streams)
		},
	}
	o.output.AddTable(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "Show those of everybody, and those that were revoked or have expired.")
	o.Add(cmd)
	cmd.AddCommand(newRevoke(streams))
	return cmd
}

func (o *listing) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	c, err := o.Client()
	if err != nil {
		return err
	}
	found, err := o.find(ctx, c)
	if err != nil {
		return err
	}
	if !o.all {
		found = slices.DeleteFunc(found, func(g *v1alpha1.GatewayCredential) bool { return state(g) != good })
	}
	slices.SortStableFunc(found, func(a, b *v1alpha1.GatewayCredential) int {
		return a.Spec.ExpiresAt.Compare(b.Spec.ExpiresAt.Time)
	})
	return o.print(streams, found)
}

// print prints credentials, which have no namespace.
func (o *listing) print(streams genericiooptions.IOStreams, found []*v1alpha1.GatewayCredential) error {
	if !o.output.People() {
		objects := make([]client.Object, len(found))
		for i, g := range found {
			objects[i] = g
		}
		return o.output.Objects(streams.Out, objects)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(streams.ErrOut, "No credentials found.")
		return err
	}
	table := show.NewTable(streams.Out, o.output, false, columns)
	return table.Add(found...)
}

// find lists credentials, the user's own by the name at the API server; where listing is
// forbidden, it reads those of this machine, also of a provider that maps nobody to such a name.
func (o *listing) find(ctx context.Context, c client.Client) ([]*v1alpha1.GatewayCredential, error) {
	var list v1alpha1.GatewayCredentialList
	err := cluster.List(ctx, c, &list, cluster.Query{}, resource)
	var missing *cluster.MissingRight
	if errors.As(err, &missing) && !o.all {
		return ofThisMachine(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	found := make([]*v1alpha1.GatewayCredential, 0, len(list.Items))
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	if o.all {
		return found, nil
	}
	self, err := cluster.Self(ctx, c)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(g *v1alpha1.GatewayCredential) bool {
		return g.Spec.Owner.KubernetesUsername != self.Username
	}), nil
}

func ofThisMachine(ctx context.Context, c client.Client) ([]*v1alpha1.GatewayCredential, error) {
	names, err := login.Credentials()
	if err != nil {
		return nil, err
	}
	var found []*v1alpha1.GatewayCredential
	for _, name := range names {
		object := &v1alpha1.GatewayCredential{}
		err := c.Get(ctx, client.ObjectKey{Name: name}, object)
		if client.IgnoreNotFound(err) != nil {
			return nil, cluster.Request{Verb: "get", Resource: cluster.Ours(resource), Name: name, Remedy: ownerRemedy}.Failed(err)
		}
		if err == nil {
			found = append(found, object)
		}
	}
	return found, nil
}

// The states of a credential.
const (
	good    = "Good"
	revoked = "Revoked"
	expired = "Expired"
)

func state(g *v1alpha1.GatewayCredential) string {
	switch {
	case g.Spec.Revoke != nil:
		return revoked
	case !time.Now().Before(g.Spec.ExpiresAt.Time):
		return expired
	}
	return good
}

const shown = 60

var columns = []show.Column[*v1alpha1.GatewayCredential]{
	{Name: "Name", Value: func(g *v1alpha1.GatewayCredential) string { return g.Name }},
	{Name: "Owner", Value: func(g *v1alpha1.GatewayCredential) string { return show.Bounded(owner(g), shown) }},
	{Name: "Provider", Value: func(g *v1alpha1.GatewayCredential) string { return g.Spec.IdentityProvider }},
	{Name: "Form", Value: func(g *v1alpha1.GatewayCredential) string { return string(g.Spec.Form) }},
	{Name: "State", Value: state},
	{Name: "Expires", Value: func(g *v1alpha1.GatewayCredential) string { return show.When(g.Spec.ExpiresAt) }},
	{Name: "Client", Value: func(g *v1alpha1.GatewayCredential) string { return g.Spec.ClientAddress }},
	{Name: "Issued", Wide: true, Value: func(g *v1alpha1.GatewayCredential) string { return show.When(g.CreationTimestamp) }},
	{Name: "Derived from", Wide: true, Value: func(g *v1alpha1.GatewayCredential) string { return g.Spec.DerivedFrom }},
	{Name: "Revoked", Wide: true, Value: func(g *v1alpha1.GatewayCredential) string {
		if g.Spec.Revoke == nil {
			return ""
		}
		return show.Bounded("by "+g.Spec.Revoke.Username+": "+g.Spec.Revoke.Reason, shown)
	}},
}

// owner is whom a credential proves, with who acts for them.
func owner(g *v1alpha1.GatewayCredential) string {
	if actor := g.Spec.Actor.Subject; actor != "" {
		return fmt.Sprintf("%s for %s", actor, g.Spec.Owner.Username)
	}
	return g.Spec.Owner.Username
}
