// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ls is the plugin's verb that says what whoever runs it can reach.
package ls

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	clipolicy "github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/proxy/policy"
)

// rightsShown is the width of rights in a table.
const rightsShown = 60

// options are the flags of ls.
type options struct {
	*cluster.Flags
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

Rights are told from the policies, as far as you may read them, for who the API server says
you are. Where you may not, they are "unknown": the proxy itself answers you then, see
"kubectl doorward policy can-i --help". Other formats print the Connections, without rights.`,
		Example: `  # What can I reach?
  kubectl doorward ls

  # In all namespaces, with all actions and what keeps a Connection from being ready
  kubectl doorward ls -A -o wide`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err != nil {
				return err
			}
			if err := o.output.Check(); err != nil {
				return err
			}
			return o.run(cmd.Context(), streams, deps)
		},
	}
	o.AddList(cmd)
	o.output.AddTable(cmd)
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
	known := o.rights(ctx, connections, deps)
	if err := show.NewTable(streams.Out, o.output, query.Namespace == "", columns(known)).Add(connections...); err != nil {
		return err
	}
	for _, note := range known.notes {
		fmt.Fprintln(streams.ErrOut, note)
	}
	return nil
}

// rights are those on each Connection, and what is to be said of those that are not known.
type rights struct {
	of    map[client.ObjectKey]clipolicy.Rights
	notes []string
}

// rights asks namespace by namespace. What cannot be told of one is told of the others.
func (o *options) rights(ctx context.Context, connections []*v1alpha1.Connection, deps *clipolicy.Dependencies) rights {
	known := rights{of: map[client.ObjectKey]clipolicy.Rights{}}
	asker := clipolicy.Asker{Cluster: o.ConfigFlags, Provider: o.provider, Groups: o.groups}
	reach, failed := map[string]map[string]clipolicy.Rights{}, map[string]error{}
	for _, c := range connections {
		if _, done := reach[c.Namespace]; !done {
			reach[c.Namespace], failed[c.Namespace] = asker.Reach(ctx, c.Namespace, deps)
			if err := failed[c.Namespace]; err != nil {
				known.notes = append(known.notes, fmt.Sprintf("Your rights in namespace %s are unknown: %s\n"+
					"Ask the proxy of a Connection instead: kubectl doorward policy can-i -n %s -c NAME --proxy doorward-NAME.%s.svc:8444 --token-file TOKEN_FILE",
					c.Namespace, oneLine(err), c.Namespace, c.Namespace))
			}
		}
		r, found := reach[c.Namespace][c.Name]
		switch {
		case failed[c.Namespace] != nil:
			r = clipolicy.Rights{Err: failed[c.Namespace]}
		case !found: // made since the list was read
			r = clipolicy.Rights{Err: fmt.Errorf("it was made just now: run the command again")}
		}
		if r.Err != nil && failed[c.Namespace] == nil {
			known.notes = append(known.notes, fmt.Sprintf("Your rights on %s/%s are unknown: %s", c.Namespace, c.Name, oneLine(r.Err)))
		}
		known.of[client.ObjectKeyFromObject(c)] = r
	}
	return known
}

// oneLine is an error, or several that were joined.
func oneLine(err error) string { return show.Line(strings.ReplaceAll(err.Error(), "\n", "; ")) }

func columns(known rights) []show.Column[*v1alpha1.Connection] {
	words := func(c *v1alpha1.Connection) string { return say(known.of[client.ObjectKeyFromObject(c)]) }
	return []show.Column[*v1alpha1.Connection]{
		{Name: "Name", Value: func(c *v1alpha1.Connection) string { return c.Name }},
		{Name: "Protocol", Value: func(c *v1alpha1.Connection) string { return c.Spec.Protocol }},
		{Name: "Address", Value: func(c *v1alpha1.Connection) string { return c.Status.Endpoint }},
		{Name: "Ready", Value: ready},
		{Name: "Rights", Value: func(c *v1alpha1.Connection) string { return show.Bounded(words(c), rightsShown) }},
		{Name: "All rights", Wide: true, Value: words},
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

// say puts rights in words.
func say(r clipolicy.Rights) string {
	if r.Err != nil {
		return "unknown"
	}
	if r.Connect == policy.Deny || r.Connect == "" {
		return "none"
	}
	var parts []string
	if len(r.Allowed) > 0 {
		parts = append(parts, strings.Join(r.Allowed, ","))
	}
	if len(r.Approval) > 0 {
		parts = append(parts, "with approval: "+strings.Join(r.Approval, ","))
	}
	if r.Module {
		parts = append(parts, "more by Rego")
	}
	text := strings.Join(parts, "; ")
	if r.Connect == policy.RequireApproval {
		text = "session after approval; " + text
	}
	return text
}
