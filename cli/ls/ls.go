// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ls is the plugin's verb that says what whoever runs it can reach.
package ls

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	clipolicy "github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/cli/show"
)

// rightsShown is the width of rights in a table.
const rightsShown = 60

// options are the flags of ls.
type options struct {
	*cluster.Flags
	asking   clipolicy.ProxyFlags
	output   *show.Output
	provider string
	groups   []string
}

// NewCommand returns the command ls.
func NewCommand(streams genericiooptions.IOStreams, deps *clipolicy.Dependencies) *cobra.Command {
	scheme, err := cluster.Scheme()
	o := &options{Flags: cluster.NewFlags(), output: show.NewOutput(scheme)}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "Show what you can reach, and with which rights",
		Long: `Show the Connections of a namespace: where clients connect, whether they can, and what you
may do there. The rights are the actions that rules allow you, on some resources at least,
and those that need an approval; "kubectl doorward policy can-i -c NAME" has them in full.

Where you are logged in, the proxies of the namespace are asked, as connect reaches them,
with the token that you would open a session with: what they answer holds for you, by all
policies in force. Each puts the question on record. With --all-namespaces they are asked
with --proxy always only: whoever runs a proxy gets to see your token.

Without a login, and of proxies that cannot be asked, rights are told from the policies, as
far as you may read them, for who the API server says you are; with --as, --group and
--provider always. Else they are "unknown", and why is said. Other formats print the
Connections, without rights.`,
		Example: `  # What can I reach?
  kubectl doorward ls

  # All actions, who told them, and what keeps a Connection from being ready
  kubectl doorward ls -o wide

  # In all namespaces, each proxy asked
  kubectl doorward ls -A --proxy always`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err != nil {
				return err
			}
			if err := errors.Join(o.output.Check(), o.check()); err != nil {
				return err
			}
			return o.run(cmd.Context(), streams, deps)
		},
	}
	o.AddList(cmd)
	o.output.AddTable(cmd)
	o.asking.Add(cmd.Flags(), "Whom to ask for rights. One of: (auto, always, never). auto: the proxies of the namespace where you are logged in, else the policies; always: the proxies; never: the policies.")
	cmd.Flags().StringVar(&o.provider, "provider", "", "IdentityProvider that proves you, where the API server's name for you does not tell.")
	cmd.Flags().StringArrayVar(&o.groups, "group", nil, "Group that you have at the proxy, instead of those that the API server knows; may be repeated.")
	o.Add(cmd)
	return cmd
}

func (o *options) run(ctx context.Context, streams genericiooptions.IOStreams, deps *clipolicy.Dependencies) error {
	c, err := o.Client()
	if err != nil {
		return err
	}
	query, err := o.Query()
	if err != nil {
		return err
	}
	var list v1alpha1.ConnectionList
	if err := cluster.List(ctx, c, &list, query, "connections"); err != nil {
		return err
	}
	connections := make([]*v1alpha1.Connection, len(list.Items))
	objects := make([]client.Object, len(list.Items))
	for i := range list.Items {
		connections[i], objects[i] = &list.Items[i], &list.Items[i]
	}
	if !o.output.People() {
		return o.output.Objects(streams.Out, objects)
	}
	if len(connections) == 0 {
		show.None(streams.ErrOut, "Connections", query.Namespace)
		return nil
	}
	known := o.rights(ctx, streams, connections, deps)
	if err := show.NewTable(streams.Out, o.output, query.Namespace == "", columns(known)).Add(connections...); err != nil {
		return err
	}
	for _, note := range known.notes {
		fmt.Fprintln(streams.ErrOut, note)
	}
	return nil
}

func columns(known *rights) []show.Column[*v1alpha1.Connection] {
	words := func(c *v1alpha1.Connection) string { return known.of[client.ObjectKeyFromObject(c)].say() }
	return []show.Column[*v1alpha1.Connection]{
		{Name: "Name", Value: func(c *v1alpha1.Connection) string { return c.Name }},
		{Name: "Protocol", Value: func(c *v1alpha1.Connection) string { return c.Spec.Protocol }},
		{Name: "Address", Value: func(c *v1alpha1.Connection) string { return c.Status.Endpoint }},
		{Name: "Ready", Value: ready},
		{Name: "Rights", Value: func(c *v1alpha1.Connection) string { return show.Bounded(words(c), rightsShown) }},
		{Name: "All rights", Wide: true, Value: words},
		{Name: "Told by", Wide: true, Value: func(c *v1alpha1.Connection) string { return known.of[client.ObjectKeyFromObject(c)].by }},
		{Name: "Message", Wide: true, Value: func(c *v1alpha1.Connection) string {
			if condition := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); condition != nil {
				return condition.Message
			}
			return ""
		}},
	}
}

// ready is whether callers can connect, and the word for why not.
func ready(c *v1alpha1.Connection) string {
	condition := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case condition == nil:
		return "Unknown"
	case condition.Status == "True":
		return string(condition.Status)
	}
	return fmt.Sprintf("%s (%s)", condition.Status, condition.Reason)
}
