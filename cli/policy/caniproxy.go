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
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// proxyFlags say which proxy is asked, and how.
type proxyFlags struct {
	proxy, tokenFile, caFile string
}

func (p *proxyFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&p.proxy, "proxy", "", "Ask the proxy of the Connection, at its host:port for questions, instead of reading policies.")
	flags.StringVar(&p.tokenFile, "token-file", "", "File with the token that you would open a session with, for --proxy; - for standard input.")
	flags.StringVar(&p.caFile, "ca-file", "", "File with the authorities that sign the proxy's certificate, for --proxy. Unset: ConfigMap "+trustBundle+" of the namespace, or those of this machine.")
}

// askProxy puts the question to the proxy, who knows the caller by his token.
func (o *canIOptions) askProxy(ctx context.Context, streams genericiooptions.IOStreams, changed func(string) bool) error {
	for _, name := range []string{"filename", "provider", "group", "at", "from", "as", "as-group", "as-uid"} {
		if changed(name) {
			return fmt.Errorf("--%s is not for --proxy: the proxy knows who you are by your token, and asks its own clock", name)
		}
	}
	switch {
	case o.tokenFile == "":
		return errors.New("no token: --token-file says where the token is that you would open a session with")
	case o.Statement != "":
		return errors.New("--statement is not for --proxy: write accesses, such as 'select public.orders'")
	}
	client, err := o.client(ctx, streams)
	if err != nil {
		return err
	}
	defer client.close()
	if o.operation.empty() {
		answer := &wire.SelfRulesReview{}
		question := wire.SelfRulesReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.RulesKind}, Spec: wire.RulesSpec{Connection: o.meant()}}
		if err := client.ask(ctx, wire.RulesPath, question, answer); err != nil {
			return err
		}
		if answer.Status == nil {
			return errNoAnswer
		}
		return o.sayRules(streams.Out, answer)
	}
	question := wire.SelfAccessReview{
		TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.AccessKind}, Spec: wire.AccessSpec{Connection: o.meant(), Properties: o.Properties},
	}
	for _, text := range o.Accesses {
		action, resource, _ := strings.Cut(strings.TrimSpace(text), " ")
		question.Spec.Accesses = append(question.Spec.Accesses, wire.Access{Action: action, Resource: strings.TrimSpace(resource)})
	}
	answer := &wire.SelfAccessReview{}
	if err := client.ask(ctx, wire.AccessPath, question, answer); err != nil {
		return err
	}
	if answer.Status == nil {
		return errNoAnswer
	}
	return o.sayAccess(streams.Out, answer)
}

var errNoAnswer = errors.New("the proxy sent no answer: is it the port for questions?")

// meant is the Connection that is asked about, as far as flags say.
func (o *canIOptions) meant() wire.Connection {
	c := wire.Connection{Name: o.connection}
	if namespace, name, ok := strings.Cut(o.connection, "/"); ok {
		c.Namespace, c.Name = namespace, name
	} else if o.cluster.Namespace != nil {
		c.Namespace = *o.cluster.Namespace
	}
	return c
}

// effectOf reads an effect; what is not known is a no.
func effectOf(text string) policy.Effect {
	switch effect := policy.Effect(text); effect {
	case policy.Allow, policy.RequireApproval:
		return effect
	case policy.Deny:
	}
	return policy.Deny
}

func (o *canIOptions) sayAccess(out io.Writer, answer *wire.SelfAccessReview) error {
	status, effect := answer.Status, effectOf(answer.Status.Effect)
	if o.output != "" {
		if err := structured(out, o.output, answer); err != nil {
			return err
		}
		return exit(effect)
	}
	text := yesOrNo[effect]
	if effect == policy.RequireApproval && slices.Contains(status.Approvals, policy.ScopeSession) {
		text = inAdvance
	}
	if _, err := fmt.Fprintln(out, text+because(status.Message, status.Reason)); err != nil {
		return err
	}
	if err := sayMasks(out, status.Masks); err != nil {
		return err
	}
	return exit(effect)
}

// because is the message of the rule, or else the word for why not.
func because(message, reason string) string {
	switch {
	case message != "":
		return " - " + audit.Safe(message)
	case reason != "" && reason != "NotAllowed" && reason != "Denied":
		return " - " + audit.Safe(reason)
	}
	return ""
}

func (o *canIOptions) sayRules(out io.Writer, answer *wire.SelfRulesReview) error {
	status, effect := answer.Status, effectOf(answer.Status.Connect)
	if o.output != "" {
		if err := structured(out, o.output, answer); err != nil {
			return err
		}
		return exit(effect)
	}
	if effect == policy.Deny {
		if _, err := fmt.Fprintln(out, yesOrNo[effect]+because(status.Message, status.Reason)); err != nil {
			return err
		}
		return exit(effect)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "EFFECT\tACTIONS\tRESOURCES\tPROPERTIES")
	for _, r := range status.Rules {
		cells := []string{r.Effect, strings.Join(r.Actions, ","), strings.Join(r.Resources, ","), strings.Join(r.Properties, ",")}
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
	if err := table.Flush(); err != nil {
		return err
	}
	if err := sayMasks(out, status.Masks); err != nil {
		return err
	}
	for _, note := range notesOf(status) {
		if _, err := fmt.Fprintln(out, note); err != nil {
			return err
		}
	}
	return nil
}

// notesOf are what the table does not say.
func notesOf(status *wire.RulesStatus) []string {
	var notes []string
	if status.Restricted {
		notes = append(notes, "Some of this is refused by other rules: ask about an operation.")
	}
	if status.Incomplete {
		notes = append(notes, "There is more that cannot be listed: ask about an operation.")
	}
	own := policy.Limits{
		RowsPerStatement: status.Limits.RowsPerStatement, BytesPerStatement: status.Limits.BytesPerStatement, SessionSeconds: status.Limits.SessionSeconds,
		IdleSeconds: status.Limits.IdleSeconds, ConcurrentSessions: status.Limits.ConcurrentSessions,
		OutliveTokenSeconds: status.Limits.OutliveTokenSeconds,
	}
	for _, w := range status.Limits.Windows {
		own.Windows = append(own.Windows, policy.Window(w))
	}
	if limits := limitWords(&own); len(limits) > 0 {
		notes = append(notes, "Limits: "+strings.Join(limits, ", "))
	}
	if !status.Until.IsZero() {
		notes = append(notes, "A session that began now would end by "+status.Until.UTC().Format(time.RFC3339)+".")
	}
	return notes
}

func sayMasks(out io.Writer, masks []wire.Mask) error {
	var all []string
	for _, m := range masks {
		all = append(all, m.Fields...)
		for _, kind := range m.Detect {
			all = append(all, "content: "+kind)
		}
	}
	if len(all) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(out, "Masked: "+audit.Safe(strings.Join(all, ", ")))
	return err
}

// orProxy tells whoever may not read policies whom to ask instead.
func (o *canIOptions) orProxy(err error) error {
	missing := (*cluster.MissingRight)(nil)
	if !errors.As(err, &missing) || len(o.files) > 0 {
		return err
	}
	c := o.meant()
	if c.Name == "" {
		c.Name = "CONNECTION"
	}
	if c.Namespace == "" {
		if c.Namespace, _, _ = o.cluster.ToRawKubeConfigLoader().Namespace(); c.Namespace == "" {
			c.Namespace = defaultNamespace
		}
	}
	command := fmt.Sprintf("kubectl doorward policy can-i -n %s -c %s --proxy doorward-%s.%s.svc:8444 --token-file TOKEN_FILE", c.Namespace, c.Name, c.Name, c.Namespace)
	for _, access := range o.Accesses {
		command += " '" + access + "'"
	}
	for _, property := range o.Properties {
		command += " --property " + property
	}
	return fmt.Errorf("%w\nWithout these rights, ask the proxy with the token that you would open a session with (from outside of the cluster, at the address that your admins give):\n  %s", err, command)
}
