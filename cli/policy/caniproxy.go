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

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// fitForProxy says whether a proxy can be asked what the flags ask; the error names the
// one that keeps it from that.
func (o *canIOptions) fitForProxy(changed func(string) bool) error {
	for _, name := range []string{"filename", "provider", "group", "at", "from", "as", "as-group", "as-uid"} {
		if changed(name) {
			return fmt.Errorf("--%s is not for --proxy: the proxy knows who you are by your token, and asks its own clock", name)
		}
	}
	if o.Statement != "" {
		return errors.New("--statement is not for --proxy: write accesses, such as 'select public.orders'")
	}
	return nil
}

// askProxy puts the question to the proxy that the flags name, or to the Connection's own,
// who knows the caller by his token.
func (o *canIOptions) askProxy(ctx context.Context, streams genericiooptions.IOStreams) error {
	token, err := o.Token(ctx, streams.In)
	if err != nil {
		return err
	}
	if o.Proxy == ProxyAlways || o.Proxy == ProxyAuto {
		return o.askOwn(ctx, streams.Out, token)
	}
	asking, err := o.client(ctx, token)
	if err != nil {
		return err
	}
	defer asking.close()
	return o.question(ctx, streams.Out, o.meant(), asking.ask)
}

// askOwn finds the Connection's own proxy and asks it.
func (o *canIOptions) askOwn(ctx context.Context, out io.Writer, token string) error {
	if o.connection == "" {
		return errors.New("no Connection given: --connection says whose proxy is asked; \"kubectl doorward ls\" asks all of them")
	}
	asked := o.meant()
	if asked.Namespace == "" {
		var err error
		if asked.Namespace, _, err = o.cluster.ToRawKubeConfigLoader().Namespace(); err != nil {
			return fmt.Errorf("cannot ask the cluster: %w", err)
		}
	}
	proxies, err := NewProxies(o.cluster.ConfigFlags, &o.ProxyFlags, token)
	if err != nil {
		return err
	}
	var c v1alpha1.Connection
	err = proxies.reader.Get(ctx, client.ObjectKey{Namespace: asked.Namespace, Name: asked.Name}, &c)
	if err := (cluster.Request{Verb: "get", Resource: cluster.Ours("connections"), Namespace: asked.Namespace, Name: asked.Name}).Failed(err); err != nil {
		return err
	}
	return o.question(ctx, out, asked, func(ctx context.Context, path string, question, answer any) error {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		return proxies.ask(ctx, &c, path, question, answer)
	})
}

// orPolicies asks the Connection's own proxy where the caller has a login, and reads
// policies where there is none, or where the proxy cannot be asked. What a proxy that was
// asked does not answer, policies do not either: it would let nobody in.
func (o *canIOptions) orPolicies(ctx context.Context, streams genericiooptions.IOStreams, deps *Dependencies) error {
	token, err := o.Token(ctx, streams.In)
	if err == nil {
		err = o.askOwn(ctx, streams.Out, token)
		if known := (*Unanswered)(nil); !errors.As(err, &known) || known.Refused {
			return o.orProxy(err, nil)
		}
	}
	read := o.run(ctx, streams, deps)
	missing := (*cluster.MissingRight)(nil)
	if !errors.As(read, &missing) && !errors.Is(err, login.ErrNotLoggedIn) {
		fmt.Fprintln(streams.ErrOut, "This is told from policies, since the proxy was not asked:", oneLine(err))
	}
	return o.orProxy(read, err)
}

// oneLine is an error that draws on no terminal.
func oneLine(err error) string { return audit.Safe(strings.Join(strings.Fields(err.Error()), " ")) }

// question asks by ask, and prints the answer.
func (o *canIOptions) question(ctx context.Context, out io.Writer, about wire.Connection, ask func(ctx context.Context, path string, question, answer any) error) error {
	if o.operation.empty() {
		answer := &wire.SelfRulesReview{}
		question := wire.SelfRulesReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.RulesKind}, Spec: wire.RulesSpec{Connection: about}}
		if err := ask(ctx, wire.RulesPath, question, answer); err != nil {
			return err
		}
		if answer.Status == nil {
			return errNoAnswer
		}
		return o.sayRules(out, answer)
	}
	question := wire.SelfAccessReview{
		TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.AccessKind}, Spec: wire.AccessSpec{Connection: about, Properties: o.Properties},
	}
	for _, text := range o.Accesses {
		action, resource, _ := strings.Cut(strings.TrimSpace(text), " ")
		question.Spec.Accesses = append(question.Spec.Accesses, wire.Access{Action: action, Resource: strings.TrimSpace(resource)})
	}
	answer := &wire.SelfAccessReview{}
	if err := ask(ctx, wire.AccessPath, question, answer); err != nil {
		return err
	}
	if answer.Status == nil {
		return errNoAnswer
	}
	return o.sayAccess(out, answer)
}

var errNoAnswer error = unanswered("no answer", "the proxy sent no answer: is it the port for questions?")

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

// orProxy tells whoever may not read policies whom to ask instead; why is why the proxy was
// not asked.
func (o *canIOptions) orProxy(err, why error) error {
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
	without := "Without these rights, ask the proxy with the token that you would open a session with"
	if why != nil {
		without = fmt.Sprintf("The proxy answers without these rights, and was not asked: %s\nOr ask it", oneLine(why))
	}
	return fmt.Errorf("%w\n%s (from outside of the cluster, at the address that your admins give):\n  %s", err, without, command)
}
