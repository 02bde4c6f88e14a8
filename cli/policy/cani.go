// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// canIOptions are the flags of can-i.
type canIOptions struct {
	*source
	operation
	ProxyFlags
	provider, at, from string
	groups             []string
}

func newCanI(streams genericiooptions.IOStreams, deps *Dependencies) *cobra.Command {
	o := &canIOptions{source: newSource(true)}
	cmd := &cobra.Command{
		Use:   "can-i [-c CONNECTION] ['ACTION RESOURCE']",
		Short: "Say what you may do",
		Long: `Say what you may do on Connections: whether one operation would be allowed, or, without
one, what all rules that are about you say; without a Connection, which Connections of
the namespace let you in.

Where you are logged in, the Connection's proxy is asked, as connect reaches it, with the
token that you would open a session with. It answers for that token alone, by the
policies in force, and puts the question on record. --proxy HOST:PORT says where its port
for questions is; --token-file gives another token.

Without a login, or with --proxy never, policies are read with your own rights. You are
then who the API server says, mapped back to the IdentityProvider whose
kubernetesUsername makes that name; --as asks for somebody else, if you may impersonate.
The API server does not know the claims of a token for a proxy, nor always the same
groups: --group says which groups you have there. So it is with these flags, and with
-o json and yaml, whose form is that of the policies' answer unless --proxy is given.

The exit code is 0 for yes, 1 for no, 3 where an approval is needed, and 2 where the
question could not be answered.`,
		Example: `  # Which Connections may I use, and what may I do on one of them?
  kubectl doorward policy can-i
  kubectl doorward policy can-i -c orders-db

  # May I delete orders?
  kubectl doorward policy can-i -c orders-db 'delete public.orders'

  # The same by the policies in the cluster, naming their rules
  kubectl doorward policy can-i -c orders-db --proxy never

  # The same of a proxy that is reached otherwise, with a token of a file
  kubectl doorward policy can-i --proxy localhost:8444 --token-file token 'delete public.orders'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			// kubectl auth can-i takes the verb and the resource as two words.
			if o.Accesses = args; len(args) == 2 && !strings.Contains(args[0]+args[1], " ") {
				o.Accesses = []string{args[0] + " " + args[1]}
			}
			return o.answer(cmd.Context(), streams, deps, cmd.Flags().Changed)
		},
	}
	cmd.ValidArgsFunction = o.completeAccess(deps)
	o.source.add(cmd)
	o.ProxyFlags.Add(cmd.Flags(), "Whom to ask. One of: (auto, always, never), or host:port of the proxy's port for questions. auto: the Connection's proxy where you are logged in, else the policies; always: the proxy; never: the policies.")
	cmd.Flags().StringVar(&o.provider, "provider", "", "IdentityProvider that proves you, where the API server's name for you does not tell.")
	cmd.Flags().StringArrayVar(&o.groups, "group", nil, "Group that you have at the proxy, instead of those that the API server knows; may be repeated.")
	cmd.Flags().StringArrayVar(&o.Properties, "property", nil, "Property of the operation, such as unboundedWrite; may be repeated.")
	cmd.Flags().StringVar(&o.Statement, "statement", "", "Statement of the protocol, instead of accesses.")
	cmd.Flags().StringVar(&o.at, "at", "", "When it is decided, as RFC 3339 has it; now where unset.")
	cmd.Flags().StringVar(&o.from, "from", "", "Address that you come from; not known where unset.")
	_ = cmd.RegisterFlagCompletionFunc("provider", o.completeProvider)
	_ = cmd.RegisterFlagCompletionFunc("property", o.completeProperty(deps))
	return cmd
}

// answer asks the proxy, or reads policies.
func (o *canIOptions) answer(ctx context.Context, streams genericiooptions.IOStreams, deps *Dependencies, changed func(string) bool) error {
	if err := errors.Join(o.check(), o.Check()); err != nil {
		return err
	}
	fit := o.fitForProxy(changed)
	// Formats for programs are of what was asked, which must not depend on a login.
	meant := o.Proxy != ProxyAuto || o.Given()
	switch {
	case o.Proxy == ProxyNever, !meant && (fit != nil || o.connection == "" || o.output != ""):
		return o.orProxy(o.run(ctx, streams, deps), nil)
	case fit != nil:
		return fit
	case meant:
		return o.askProxy(ctx, streams)
	}
	return o.orPolicies(ctx, streams, deps)
}

func (o *canIOptions) run(ctx context.Context, streams genericiooptions.IOStreams, deps *Dependencies) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.connection == "" && !o.operation.empty() {
		return errors.New("no Connection given: --connection says on which one you want to do that")
	}
	at, err := circumstances(o.at, o.from)
	if err != nil {
		return err
	}
	all, err := o.load(ctx)
	if err != nil {
		return err
	}
	who, err := o.who(ctx, all)
	if err != nil {
		return err
	}
	if o.connection == "" {
		return o.everywhere(ctx, streams.Out, all, deps, who, at)
	}
	connection, err := o.pick(all)
	if err != nil {
		return err
	}
	compiled, err := all.compile(ctx, connection, deps)
	if err != nil {
		return err
	}
	if o.operation.empty() {
		return o.list(ctx, streams.Out, compiled, deps, who, at)
	}
	explained, err := compiled.answers(ctx, deps, who, at, &o.operation)
	if err != nil {
		return err
	}
	effect := worst(explained)
	if err := o.say(streams.Out, effect, explained); err != nil {
		return err
	}
	return exit(effect)
}

// exit is the error that an effect ends the command with.
func exit(effect policy.Effect) error {
	switch effect {
	case policy.Allow:
		return nil
	case policy.RequireApproval:
		return ErrApprovalRequired
	case policy.Deny:
	}
	return ErrDenied
}

// inAdvance is what needs an approval of scope Session: nothing is held for it.
const inAdvance = "after approval, asked for in advance"

var yesOrNo = map[policy.Effect]string{policy.Allow: "yes", policy.RequireApproval: "after approval", policy.Deny: "no"}

func (o *canIOptions) say(out io.Writer, effect policy.Effect, all []*explanation) error {
	if o.output != "" {
		return structured(out, o.output, all)
	}
	text := yesOrNo[effect]
	for _, e := range all {
		if effect == policy.RequireApproval && slices.ContainsFunc(e.Decision.Approval, func(t policy.ApprovalTerms) bool { return t.Scope == policy.ScopeSession }) {
			text = inAdvance
			break
		}
	}
	for _, e := range all {
		if e.effect == effect && e.Decision.Message != "" {
			text += " - " + audit.Safe(e.Decision.Message)
			break
		}
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// myAccess is whether a Connection lets the caller in.
type myAccess struct {
	Connection string `json:"connection"`
	Access     string `json:"access"`
	Reason     string `json:"reason,omitempty"`
}

// everywhere says which Connections let the caller in.
func (o *canIOptions) everywhere(ctx context.Context, out io.Writer, all *objects, deps *Dependencies, who *caller, at policy.Circumstances) error {
	rows := []myAccess{}
	for i := range all.connections {
		c := &all.connections[i]
		if o.cluster.Namespace != nil && *o.cluster.Namespace != "" && c.Namespace != *o.cluster.Namespace {
			continue
		}
		row := myAccess{Connection: c.Namespace + "/" + c.Name, Access: yesOrNo[policy.Deny]}
		compiled, err := all.compile(ctx, c, deps)
		var principal identity.Principal
		if err == nil {
			principal, err = who.principal(compiled.snapshot.IdentityProviders)
		}
		var got outcome
		if err == nil {
			got, err = ask(ctx, compiled.engine, question{caller: principal, at: at})
		}
		if err != nil {
			row.Reason = err.Error()
		} else {
			row.Access, row.Reason = yesOrNo[got.decision.Effect], got.decision.Message
		}
		rows = append(rows, row)
	}
	if o.output != "" {
		return structured(out, o.output, rows)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONNECTION\tACCESS\tREASON")
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\n", row.Connection, row.Access, audit.Safe(row.Reason))
	}
	return table.Flush()
}

// myRule is a rule that is about the caller.
type myRule struct {
	Effect     policy.Effect `json:"effect"`
	Actions    []string      `json:"actions"`
	Resources  []string      `json:"resources,omitempty"`
	Properties []string      `json:"properties,omitempty"`
	Rule       string        `json:"rule"`
}

// list prints the rules that are about the caller.
func (o *canIOptions) list(ctx context.Context, out io.Writer, c *compiled, deps *Dependencies, who *caller, at policy.Circumstances) error {
	principal, err := who.principal(c.snapshot.IdentityProviders)
	if err != nil {
		return err
	}
	policies, err := applications(ctx, c, deps, question{caller: principal, at: at})
	if err != nil {
		return err
	}
	rules := []myRule{}
	for i := range c.snapshot.Policies.Policies {
		p := &c.snapshot.Policies.Policies[i]
		if policies[i].Applies && p.Rego != "" {
			rules = append(rules, myRule{Effect: "Rego", Actions: []string{"*"}, Rule: p.Name})
		}
		for _, r := range p.Rules {
			if policies[i].Permits || policies[i].Applies && r.Effect != policy.Allow {
				rules = append(rules, myRule{r.Effect, r.Actions, r.Resources, r.Properties, p.Name + "/" + r.Name})
			}
		}
	}
	if o.output != "" {
		return structured(out, o.output, rules)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "EFFECT\tACTIONS\tRESOURCES\tPROPERTIES\tRULE")
	for _, r := range rules {
		cells := []string{string(r.Effect), strings.Join(r.Actions, ","), strings.Join(r.Resources, ","), strings.Join(r.Properties, ","), r.Rule}
		for i := range cells {
			if cells[i] = audit.Safe(cells[i]); cells[i] == "" {
				cells[i] = "*"
				if i == 3 {
					cells[i] = "-"
				}
			}
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}
