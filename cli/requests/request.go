// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// ErrNotApproved says that a request came to something else than an approval.
var ErrNotApproved = errors.New("not approved")

// What the API takes of a request: see RequestedSession.
const (
	usualDuration = time.Hour
	minDuration   = time.Minute
	maxDuration   = 7 * 24 * time.Hour
	maxAhead      = 7 * 24 * time.Hour
	maxGroups     = 256
	maxNamePrefix = 58
)

// requesting is one request of scope Session.
type requesting struct {
	*cluster.Flags
	output                    *show.Output
	rules, actions, resources []string
	reason, notBefore         string
	duration, timeout         time.Duration
	wait, breakGlass          bool

	client client.WithWatch
}

func newRequest(streams genericiooptions.IOStreams) *cobra.Command {
	scheme, err := cluster.Scheme()
	o := &requesting{Flags: cluster.NewFlags(), output: show.NewOutput(scheme)}
	cmd := &cobra.Command{
		Use:   "request CONNECTION --rule [KIND/]POLICY/RULE... --reason TEXT",
		Short: "Ask for an approval that lasts for a time",
		Long: `Ask, in your own name, to be let do for a time what some rules of policies match. What is
refused for want of such an approval names the rules; without --rule, those that you may
read are listed. KIND is AccessPolicy, or ClusterAccessPolicy where it has to be said.

The approval is for you alone, begins when it is given or at --not-before, and ends after
--for; the sessions that rest on it end with it. "kubectl doorward revoke" ends it before.

With --break-glass you go ahead without approvals, where each of the rules lets you: it
begins at once, is on record with all that you do under it, warns the admins, and has to be
reviewed by an approver afterwards. Who has too many that are not reviewed is refused.

With --wait the command follows the request: its exit code is 0 once it is approved, 1 if
it is denied, void, stale, revoked, deleted or expired, and 2 for every other failure.
Interrupted, it leaves the request as it is.`,
		Example: `  # Which rules can be asked for
  kubectl doorward request orders-db

  # Ask for an hour, and wait for the answer
  kubectl doorward request orders-db --rule on-call/incident --reason 'INC-4711, orders are stuck' --wait

  # For part of what the rule matches, from tonight on
  kubectl doorward request orders-db --rule on-call/incident --resource public.orders \
    --not-before 2027-01-01T22:00:00Z --for 4h --reason 'CHG-17, migration'

  # It burns, and nobody who could approve is awake
  kubectl doorward request orders-db --rule on-call/incident --break-glass --reason 'INC-4712, checkout is down'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("one Connection has to be named: kubectl doorward request CONNECTION; see \"kubectl doorward ls\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), streams, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.rules, "rule", nil, "Rule to be approved, as [KIND/]POLICY/RULE. Can be repeated: the terms of each must be met.")
	flags.StringVar(&o.reason, "reason", "", "Why, for approvers and the record.")
	flags.DurationVar(&o.duration, "for", 0, "How long, such as 90m. The rules bound it. Default: 1h, or less where a rule that you may read allows less.")
	flags.StringVar(&o.notBefore, "not-before", "", "When it begins at the earliest: a time as 2027-01-01T22:00:00Z, or a duration from now.")
	flags.StringArrayVar(&o.actions, "action", nil, "Glob of actions that narrows every rule. Can be repeated.")
	flags.StringArrayVar(&o.resources, "resource", nil, "Glob of resources that narrows every rule. Can be repeated.")
	flags.BoolVar(&o.breakGlass, "break-glass", false, "Go ahead without approvals, in the open, and be reviewed afterwards.")
	flags.BoolVar(&o.wait, "wait", false, "Wait until it is approved, or cannot be any more.")
	flags.DurationVar(&o.timeout, "timeout", 0, "How long to wait with --wait at most; 0 waits until the request ends.")
	o.output.Add(cmd)
	o.Add(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.CompleteConnection(cmd, args, prefix)
	}
	_ = cmd.RegisterFlagCompletionFunc("rule", o.completeRule)
	return cmd
}

func (o *requesting) run(ctx context.Context, streams genericiooptions.IOStreams, connection string) error {
	if o.timeout != 0 && !o.wait {
		return errors.New("--timeout is for --wait: add it, or leave out --timeout")
	}
	if o.breakGlass && o.notBefore != "" {
		return errors.New("--break-glass begins at once: leave out --not-before")
	}
	if err := o.output.Check(); err != nil {
		return err
	}
	r, err := o.build(connection, time.Now())
	if err != nil {
		return err
	}
	if o.client, err = o.Client(); err != nil {
		return err
	}
	if err := o.prepare(ctx, r); err != nil {
		return err
	}
	if err := o.client.Create(ctx, r); err != nil {
		return o.refused(ctx, r, err)
	}
	words := streams.Out
	if !o.output.People() {
		words = streams.ErrOut
		if err := o.output.Object(streams.Out, r.DeepCopy()); err != nil {
			return err
		}
	}
	fmt.Fprintf(words, "approvalrequest.%s/%s created\n", v1alpha1.GroupName, r.Name)
	return o.accepted(ctx, words, streams.ErrOut, r)
}

// build makes the request that the flags describe, as far as they describe it.
func (o *requesting) build(connection string, now time.Time) (*v1alpha1.ApprovalRequest, error) {
	namespace, err := o.Scope()
	if err != nil {
		return nil, err
	}
	asked := v1alpha1.RequestedSession{Reason: o.reason, DurationSeconds: int32(o.duration.Seconds())}
	if o.breakGlass {
		asked.BreakGlass = v1alpha1.BreakGlassDeclared
	}
	seen := map[string]bool{}
	for _, text := range o.rules {
		rule, err := parseRule(text)
		if err != nil {
			return nil, err
		}
		rule.Actions, rule.Resources = o.actions, o.resources
		if name := ruleArgument(rule.Kind, rule.Policy, rule.Rule); !seen[name] {
			seen[name] = true
			asked.Rules = append(asked.Rules, rule)
		}
	}
	if len(asked.Rules) > 0 {
		if err := errors.Join(show.CheckReason(o.reason, show.MaxReason), o.checkDuration()); err != nil {
			return nil, err
		}
	}
	if asked.NotBefore, err = begins(o.notBefore, now); err != nil {
		return nil, err
	}
	prefix := connection
	if len(prefix) >= maxNamePrefix {
		prefix = strings.TrimRight(prefix[:maxNamePrefix-1], "-.")
	}
	return &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: prefix + "-",
			Labels: map[string]string{v1alpha1.LabelConnection: connection, v1alpha1.LabelScope: string(v1alpha1.ApprovalScopeSession)},
		},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: connection}, Scope: v1alpha1.ApprovalScopeSession,
			Session: asked, Decisions: []v1alpha1.Decision{},
		},
	}, nil
}

func (o *requesting) checkDuration() error {
	if o.duration != 0 && (o.duration < minDuration || o.duration > maxDuration || o.duration%time.Second != 0) {
		return fmt.Errorf("no duration of an approval: --for %s: give whole seconds, from %s to %s", o.duration, minDuration, maxDuration)
	}
	return nil
}

// begins reads a time of RFC 3339, or a duration from now; zero where there is none.
func begins(text string, now time.Time) (metav1.Time, error) {
	if text == "" {
		return metav1.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		after, err := time.ParseDuration(text)
		if err != nil {
			return metav1.Time{}, fmt.Errorf("no time: --not-before %q: write one as 2027-01-01T22:00:00Z, or a duration from now as 90m", show.Safe(text))
		}
		at = now.Add(after)
	}
	if at.Before(now) || at.After(now.Add(maxAhead)) {
		return metav1.Time{}, fmt.Errorf("--not-before %s is in the past, or more than %d days ahead: ask for a time between, or without --not-before for now", at.UTC().Format(time.RFC3339), int(maxAhead.Hours()/24))
	}
	return metav1.NewTime(at.Truncate(time.Second)), nil
}

// prepare fills in what the cluster knows, and refuses what nothing could come of.
func (o *requesting) prepare(ctx context.Context, r *v1alpha1.ApprovalRequest) error {
	connection := &v1alpha1.Connection{}
	key := client.ObjectKey{Namespace: r.Namespace, Name: r.Spec.ConnectionRef.Name}
	err := o.client.Get(ctx, key, connection)
	named := len(r.Spec.Session.Rules) > 0
	// Whoever may not read the Connection may still ask for an approval.
	if err != nil && (!named || !apierrors.IsForbidden(err)) {
		return cluster.Request{Verb: "get", Resource: cluster.Ours("connections"), Namespace: key.Namespace, Name: key.Name}.Failed(err)
	}
	var rules []offeredRule
	var unread error
	if err == nil && (!named || o.duration == 0) {
		rules, unread = offered(ctx, o.client, connection, o.breakGlass)
	}
	if !named {
		return howToName(key.Name, rules, unread, o.breakGlass)
	}
	if o.duration == 0 {
		r.Spec.Session.DurationSeconds = int32(usual(rules, r.Spec.Session.Rules).Seconds())
	}
	// Without an answer the API server fills in who asks, if it is new enough.
	if self, err := cluster.Self(ctx, o.client); err == nil {
		r.Spec.Requester.Username = self.Username
		if len(self.Groups) <= maxGroups {
			r.Spec.Requester.Groups = self.Groups
		}
	}
	return nil
}

// usual is the duration where none is given: what the wanted rules allow, as far as they
// could be read, and not more than usual.
func usual(rules []offeredRule, wanted []v1alpha1.RequestedRule) time.Duration {
	most := usualDuration
	for _, rule := range rules {
		for _, w := range wanted {
			if rule.name == ruleArgument(w.Kind, w.Policy, w.Rule) {
				most = min(most, rule.most())
			}
		}
	}
	return most
}

// refused says what the API server's refusal to create a request means.
func (o *requesting) refused(ctx context.Context, r *v1alpha1.ApprovalRequest, err error) error {
	asked := cluster.Request{Verb: "create", Resource: cluster.Ours(resource), Namespace: r.Namespace}
	if may, failed := cluster.Permitted(ctx, o.client, "create", resource, r.Namespace, ""); apierrors.IsForbidden(err) && (failed != nil || !may) {
		asked.Remedy = fmt.Sprintf("an admin has to bind ClusterRole doorward-requester to you in namespace %s", r.Namespace)
		return asked.Failed(err)
	}
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return fmt.Errorf("the API server does not take the request: %w", err)
	}
	return asked.Failed(err)
}

// accepted waits until it is known who may approve, or what the request came to, and says it.
func (o *requesting) accepted(ctx context.Context, words, notes io.Writer, r *v1alpha1.ApprovalRequest) error {
	accepting, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	last, err := follow(accepting, o.client, r, func(r *v1alpha1.ApprovalRequest) bool {
		return r.Status.Session != nil && r.Status.Phase != "" || ended(r)
	})
	switch {
	case ctx.Err() != nil:
		return o.left(ctx.Err(), notes, r)
	case errors.Is(err, errGone), ended(last):
		return o.came(words, last, err)
	case last.Status.BreakGlass != nil:
		fmt.Fprintf(words, "It goes ahead without approvals: %s.\nIt has to be reviewed afterwards by one of: %s\n", ahead(last), show.Line(approvers(last)))
	case last.Status.Session != nil:
		fmt.Fprintf(words, "It needs approvals: %d. Who may give them: %s\n", minimum(last), show.Line(approvers(last)))
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintln(notes, "The manager has not looked at it yet.")
	default:
		fmt.Fprintln(notes, "What becomes of it is not known:", err)
	}
	fmt.Fprintf(words, "What becomes of it: kubectl doorward requests -n %s %s\n", r.Namespace, r.Name)
	if !o.wait {
		return nil
	}
	return o.await(ctx, words, notes, last)
}

// await waits for the approval, and tells what happens on the way.
func (o *requesting) await(ctx context.Context, words, notes io.Writer, r *v1alpha1.ApprovalRequest) error {
	waiting, cancel := context.WithCancel(ctx)
	if o.timeout > 0 {
		waiting, cancel = context.WithTimeout(ctx, o.timeout)
	}
	defer cancel()
	said := ""
	last, err := follow(waiting, o.client, r, func(r *v1alpha1.ApprovalRequest) bool {
		if now := show.Line(state(r)); now != said {
			fmt.Fprintln(notes, now)
			said = now
		}
		return phase(r) == v1alpha1.ApprovalApproved || ended(r)
	})
	switch {
	case ctx.Err() != nil:
		return o.left(ctx.Err(), notes, r)
	case errors.Is(err, context.DeadlineExceeded):
		return o.left(fmt.Errorf("ApprovalRequest %q is not approved after %s: wait longer with --timeout", r.Name, o.timeout), notes, r)
	case err != nil && !errors.Is(err, errGone):
		return o.left(err, notes, r)
	}
	return o.came(words, last, err)
}

// left says that a request that is no longer waited for is still there.
func (o *requesting) left(cause error, notes io.Writer, r *v1alpha1.ApprovalRequest) error {
	fmt.Fprintf(notes, "The request stays. To withdraw it: kubectl doorward revoke -n %s %s --reason TEXT\n", r.Namespace, r.Name)
	return cause
}

// came says what a request came to.
func (o *requesting) came(words io.Writer, r *v1alpha1.ApprovalRequest, gone error) error {
	switch {
	case gone != nil:
		return fmt.Errorf("ApprovalRequest %q is %w: %w: by somebody, or since there are too many of yours, which \"kubectl doorward requests -n %s --mine\" lists",
			r.Name, ErrNotApproved, gone, r.Namespace)
	case ended(r):
		return fmt.Errorf("ApprovalRequest %q is %w: %s", r.Name, ErrNotApproved, overSince(r))
	}
	_, err := fmt.Fprintf(words, "Approved: %s.\n", ahead(r))
	return err
}

// completeRule offers the rules about the Connection that can be asked for.
func (o *requesting) completeRule(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp
	namespace, err := o.Scope()
	if err != nil || len(args) != 1 {
		return nil, done
	}
	c, err := o.Client()
	if err != nil {
		return nil, done
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), judgeTimeout)
	defer cancel()
	connection := &v1alpha1.Connection{}
	if c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: args[0]}, connection) != nil {
		return nil, done
	}
	rules, _ := offered(ctx, c, connection, o.breakGlass) // what can be read is offered
	var words []string
	for _, rule := range rules {
		if strings.HasPrefix(rule.name, prefix) {
			words = append(words, cobra.CompletionWithDesc(rule.name, rule.String()))
		}
	}
	return words, done
}
