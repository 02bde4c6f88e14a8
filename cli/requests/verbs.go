// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// judgeTimeout is how long a verb waits for the manager to judge a decision.
const judgeTimeout = 10 * time.Second

// verb is one of the ways to decide.
type verb struct {
	// name is the word of the command, done that of its success.
	name, done string
	verdict    v1alpha1.Verdict
	// question is asked on a terminal.
	question string
	// fits says why a request that is not over cannot be decided on in this way.
	fits func(*v1alpha1.ApprovalRequest) error
}

func newApprove(streams genericiooptions.IOStreams) *cobra.Command {
	o := newDeciding(verb{
		name: "approve", done: "approved", verdict: v1alpha1.VerdictApprove, question: "Approve this operation?",
		fits: func(r *v1alpha1.ApprovalRequest) error {
			if late(r) {
				return fmt.Errorf("it expired at %s: the caller has to try the operation again", show.Time(r.Spec.ExpiresAt))
			}
			return nil
		},
	})
	cmd := o.command(streams, &cobra.Command{
		Use:   "approve NAME",
		Short: "Approve one operation",
		Long: `Approve the one operation that an ApprovalRequest asks for. It is shown before, and is
approved only if you type yes and the request is still what was shown.

The approval is for exactly this operation, by its digest, in the session that holds it,
until the request expires. The API server decides whether you may: the policy's rule has
to name you, you need the verb approve on the Connection, and you cannot be the requester.

With --yes nothing is shown. --digest approves that operation and no other; without it,
--yes approves nothing whose end is not shown.`,
		Example: `  # See it, and say yes
  kubectl doorward approve orders-db-x7k2p

  # From a script that has looked at the operation
  kubectl doorward approve orders-db-x7k2p --yes --digest sha256:3b7f...`,
	})
	cmd.Flags().StringVar(&o.digest, "digest", "", "Digest of the operation that you approve, as sha256:HEX; any other is refused.")
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the requester and the record.")
	return cmd
}

func newDeny(streams genericiooptions.IOStreams) *cobra.Command {
	o := newDeciding(verb{
		name: "deny", done: "denied", verdict: v1alpha1.VerdictDeny, question: "Deny this operation?",
		fits: func(*v1alpha1.ApprovalRequest) error { return nil },
	})
	cmd := o.command(streams, &cobra.Command{
		Use:   "deny NAME --reason TEXT",
		Short: "Deny one operation",
		Long: `Deny the one operation that an ApprovalRequest asks for. One denial is enough, whatever
others decided; the caller is told the reason.`,
		Example: `  # Say no, and why
  kubectl doorward deny orders-db-x7k2p --reason 'not before the backup'`,
	})
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the requester and the record.")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func newRevoke(streams genericiooptions.IOStreams) *cobra.Command {
	o := newDeciding(verb{
		name: "revoke", done: "revoked", verdict: v1alpha1.VerdictDeny, question: "Take back what was approved?",
		fits: func(r *v1alpha1.ApprovalRequest) error {
			for _, d := range r.Spec.Decisions {
				if d.Verdict == v1alpha1.VerdictApprove {
					return nil
				}
			}
			return fmt.Errorf("nobody approved it, so there is nothing to take back: run \"kubectl doorward deny -n %s %s --reason TEXT\"", r.Namespace, r.Name)
		},
	})
	cmd := o.command(streams, &cobra.Command{
		Use:   "revoke NAME --reason TEXT",
		Short: "Take an approval back before it is used",
		Long: `Take back what was approved of an ApprovalRequest, as long as the operation has not run.
Any approver of the request can; it is then denied. What has run already cannot be taken
back: "kubectl doorward kill" ends the session.`,
		Example: `  # Take it back
  kubectl doorward revoke orders-db-x7k2p --reason 'wrong table'`,
	})
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the requester and the record.")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func newDeciding(v verb) *deciding {
	scheme, err := cluster.Scheme()
	return &deciding{Flags: cluster.NewFlags(), verb: v, output: show.NewOutput(scheme), broken: err}
}

// command fills in what all ways to decide have in common.
func (o *deciding) command(streams genericiooptions.IOStreams, cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("no name: say which request you %s; see \"kubectl doorward requests --pending\"", o.verb.name)
		case len(args) > 1:
			return errors.New("several names: each request is decided on for itself, since each is for another operation")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, args[0]) }
	o.output.Add(cmd)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not show the operation, and do not ask.")
	cmd.Flags().DurationVar(&o.timeout, "timeout", judgeTimeout, "How long to wait for the manager to say what the decision comes to; 0 does not wait.")
	o.Add(cmd)
	cmd.ValidArgsFunction = complete(o.Flags, func(r *v1alpha1.ApprovalRequest) bool { return !over(r) && o.verb.fits(r) == nil })
	return cmd
}
