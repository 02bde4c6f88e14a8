// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/proxy/policy"
)

// explainOptions are the flags of explain.
type explainOptions struct {
	*source
	callerFlags
	operation
}

func newExplain(streams genericiooptions.IOStreams, deps *Dependencies) *cobra.Command {
	o := &explainOptions{source: newSource(false)}
	cmd := &cobra.Command{
		Use:   "explain --as USER -c CONNECTION ['ACTION RESOURCE'...]",
		Short: "Say what is decided, by which rule, and what would have to change",
		Long: `Say what is decided for a caller and an operation: by which rules, and where these are
written; which policies of the Connection apply to the caller and which do not, and
why; which masks and limits are in force; and what would have to change for the
operation to be allowed. Without an operation, say whether the caller is let in at all.

Objects are read from the cluster with your own rights, or from files with --filename.
Each argument is one thing that the operation does, in the words of the Connection's
protocol; --statement reads them from a statement, as far as that can be done without
the target's catalog.

The exit code is 0 where the operation is allowed, 1 where it is denied, 3 where it needs
an approval, and 2 where the question could not be answered.`,
		Example: `  # May alice delete all orders? Who says so?
  kubectl doorward policy explain --as alice --group analysts -c orders-db --property unboundedWrite 'delete public.orders'

  # The same of a statement, by policies that are not in the cluster yet
  kubectl doorward policy explain -f policies/ --as alice --group analysts -c orders-db --statement 'DELETE FROM public.orders'

  # An agent that acts for alice, next Saturday
  kubectl doorward policy explain --as alice --actor report-bot --kind Agent --at 2026-11-28T09:00:00Z -c orders-db 'select public.orders'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Accesses = args
			return o.run(cmd.Context(), streams, deps)
		},
	}
	cmd.ValidArgsFunction = o.completeAccess(deps)
	o.source.add(cmd)
	o.callerFlags.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&o.Properties, "property", nil, "Property of the operation, such as unboundedWrite; may be repeated.")
	cmd.Flags().StringArrayVar(&o.Indirect, "indirect", nil, "Access that the operation does not name, such as that of a view's table; may be repeated.")
	cmd.Flags().StringVar(&o.Statement, "statement", "", "Statement of the protocol, instead of accesses.")
	for flag, complete := range map[string]cobra.CompletionFunc{
		"provider": o.completeProvider, "property": o.completeProperty(deps), "indirect": o.completeAccess(deps),
		"kind": cobra.FixedCompletions([]string{"Human", "Workload", "Agent"}, cobra.ShellCompDirectiveNoFileComp),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, complete)
	}
	return cmd
}

func (o *explainOptions) run(ctx context.Context, streams genericiooptions.IOStreams, deps *Dependencies) error {
	if err := errors.Join(o.check(), o.complete()); err != nil {
		return err
	}
	if o.User == "" {
		return fmt.Errorf("no caller given: --as says whom the question is about")
	}
	at, err := circumstances(o.at, o.from)
	if err != nil {
		return err
	}
	at.SharedCredential = o.shared
	all, err := o.load(ctx)
	if err != nil {
		return err
	}
	connection, err := o.pick(all)
	if err != nil {
		return err
	}
	compiled, err := all.compile(ctx, connection, deps)
	if err != nil {
		return err
	}
	explained, err := compiled.answers(ctx, deps, &o.caller, at, &o.operation)
	if err != nil {
		return err
	}
	for _, e := range explained {
		e.Notes = append(e.Notes, o.notes...)
	}
	if err := show(streams.Out, o.output, explained); err != nil {
		return err
	}
	return exit(worst(explained))
}

// answers explains each statement of an operation; without one, the session.
func (c *compiled) answers(ctx context.Context, deps *Dependencies, who *caller, at policy.Circumstances, op *operation) ([]*explanation, error) {
	principal, err := who.principal(c.snapshot.IdentityProviders)
	if err != nil {
		return nil, err
	}
	q := question{caller: principal, at: at}
	if op.empty() {
		e, err := c.explain(ctx, deps, q)
		return []*explanation{e}, err
	}
	statements, err := op.read(c, deps)
	if err != nil {
		return nil, err
	}
	all := make([]*explanation, 0, len(statements))
	for i := range statements {
		q.operation = &statements[i].Operation
		e, err := c.explain(ctx, deps, q)
		if err != nil {
			return nil, err
		}
		e.Statement, e.Notes = op.Statement, append(e.Notes, statements[i].Assumed...)
		all = append(all, e)
	}
	return all, nil
}

func show(out io.Writer, format string, all []*explanation) error {
	if format != "" {
		if len(all) == 1 {
			return structured(out, format, all[0])
		}
		return structured(out, format, all)
	}
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := e.write(out); err != nil {
			return err
		}
	}
	return nil
}
