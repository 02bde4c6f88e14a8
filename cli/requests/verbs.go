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
	// revokes ends a request of scope Session.
	revokes bool
	// question is asked on a terminal, sessionQuestion where the scope is Session.
	question, sessionQuestion string
	// fits says why a request that is not over cannot be decided on in this way.
	fits func(*v1alpha1.ApprovalRequest) error
}

func newApprove(streams genericiooptions.IOStreams) *cobra.Command {
	o := newDeciding(verb{
		name: "approve", done: "approved", verdict: v1alpha1.VerdictApprove, question: "Approve this operation?",
		sessionQuestion: "Approve all this, for its time?",
		fits:            approvable,
	})
	cmd := o.command(streams, &cobra.Command{
		Use:   "approve NAME",
		Short: "Approve what a request asks for",
		Long: `Approve what an ApprovalRequest asks for. It is shown before, and is approved only if you
type yes and the request is still what was shown.

Of scope Operation that is exactly one operation, by its digest, in the session that holds
it, until the request expires. Of scope Session it is everything that the shown rules
match, for the shown time, for the requester alone. The API server decides whether you
may: the policy's rule has to name you, you need the verb approve on the Connection, and
you cannot be the requester.

With --yes nothing is shown. --digest approves that and no other; without it, --yes
approves no operation whose end is not shown.`,
		Example: `  # See it, and say yes
  kubectl doorward approve orders-db-x7k2p

  # From a script that has looked at the operation
  kubectl doorward approve orders-db-x7k2p --yes --digest sha256:3b7f...`,
	})
	cmd.Flags().StringVar(&o.digest, "digest", "", "Digest of what you approve, as sha256:HEX; any other is refused.")
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the requester and the record.")
	return cmd
}

// approvable says why a request that is not over is not to be approved, or nil.
func approvable(r *v1alpha1.ApprovalRequest) error {
	switch {
	case r.Spec.Session.BreakGlass != "":
		return fmt.Errorf("it goes ahead without approvals, so that approving it changes nothing: to end it, run \"kubectl doorward deny -n %s %s --reason TEXT\"; once it is over, review it", r.Namespace, r.Name)
	case late(r) && lasts(r):
		return fmt.Errorf("it expired at %s: it has to be asked for again", show.Time(expires(r)))
	case late(r):
		return fmt.Errorf("it expired at %s: the caller has to try the operation again", show.Time(expires(r)))
	}
	return nil
}

func newDeny(streams genericiooptions.IOStreams) *cobra.Command {
	o := newDeciding(verb{
		name: "deny", done: "denied", verdict: v1alpha1.VerdictDeny, question: "Deny this operation?",
		sessionQuestion: "Deny this request?",
		fits:            func(*v1alpha1.ApprovalRequest) error { return nil },
	})
	cmd := o.command(streams, &cobra.Command{
		Use:   "deny NAME --reason TEXT",
		Short: "Deny what a request asks for",
		Long: `Deny what an ApprovalRequest asks for. One denial is enough, whatever others decided; the
requester is told the reason.`,
		Example: `  # Say no, and why
  kubectl doorward deny orders-db-x7k2p --reason 'not before the backup'`,
	})
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the requester and the record.")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func newRevoke(streams genericiooptions.IOStreams) *cobra.Command {
	o := newDeciding(verb{
		name: "revoke", done: "revoked", verdict: v1alpha1.VerdictDeny, revokes: true, question: "Take back what was approved?",
		sessionQuestion: "End this request, its approval, and the sessions that rest on it?",
		fits: func(r *v1alpha1.ApprovalRequest) error {
			if lasts(r) {
				return nil
			}
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
		Short: "Take back an approval, or what one asked for",
		Long: `Of scope Operation, take back what was approved, as long as the operation has not run. Any
approver of the request can; it is then denied. What has run already cannot be taken back:
"kubectl doorward kill" ends the session.

Of scope Session, end the request, its approval, and the sessions that rest on it, for
good. The requester can, and whoever holds the verb approve or terminate on the Connection.`,
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
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not show what it is about, and do not ask.")
	cmd.Flags().DurationVar(&o.timeout, "timeout", judgeTimeout, "How long to wait for the manager to say what the decision comes to; 0 does not wait.")
	o.Add(cmd)
	cmd.ValidArgsFunction = complete(o.Flags, func(r *v1alpha1.ApprovalRequest) bool { return !over(r) && o.verb.fits(r) == nil })
	return cmd
}
