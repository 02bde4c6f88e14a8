// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// endTimeout is how long kill waits for a session to end.
const endTimeout = time.Minute

// killing are the flags of kill.
type killing struct {
	*cluster.Flags
	reason  string
	wait    bool
	timeout time.Duration
}

func newKill(streams genericiooptions.IOStreams) *cobra.Command {
	o := &killing{Flags: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "kill NAME... --reason TEXT",
		Short: "End sessions",
		Long: `End sessions, whatever they are doing. The caller is told the reason, and it is on record.
The session's proxy sees it at once and does not need the manager for it.

The command waits until the sessions have ended. A session whose proxy is gone is Lost
after a while, which is an end, too.`,
		Example: `  # End one
  kubectl doorward kill orders-db-01jd5e8w2v --reason 'incident 42'

  # See which there are, and end two
  kubectl doorward sessions --live --actor alice
  kubectl doorward kill orders-db-01jd5e8w2v orders-db-01jd5f0a7c --reason 'laptop stolen'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no name: say which sessions you end; see \"kubectl doorward sessions --live\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, args) },
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the caller and the record.")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "Wait until the sessions have ended.")
	cmd.Flags().DurationVar(&o.timeout, "timeout", endTimeout, "How long to wait for each.")
	_ = cmd.MarkFlagRequired("reason")
	o.Add(cmd)
	cmd.ValidArgsFunction = complete(o.Flags, 0, live)
	return cmd
}

func (o *killing) run(ctx context.Context, streams genericiooptions.IOStreams, names []string) error {
	if err := show.CheckReason(o.reason, show.MaxEndReason); err != nil {
		return err
	}
	c, err := o.Client()
	if err != nil {
		return err
	}
	// All are told to end before any is waited for.
	var failed []error
	var ending []*v1alpha1.AuditSession
	for _, name := range names {
		s, err := o.end(ctx, c, streams, name)
		if err != nil {
			failed = append(failed, err)
		} else if live(s) {
			ending = append(ending, s)
		}
	}
	if !o.wait {
		return errors.Join(failed...)
	}
	for _, s := range ending {
		if err := o.await(ctx, c, streams, s); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// end tells one session to end, unless it has ended or was told already.
func (o *killing) end(ctx context.Context, c client.Client, streams genericiooptions.IOStreams, name string) (*v1alpha1.AuditSession, error) {
	s, err := read(ctx, c, o.Flags, name)
	if err != nil {
		return nil, err
	}
	label := fmt.Sprintf("auditsession.%s/%s", v1alpha1.GroupName, s.Name)
	who := fmt.Sprintf(" (%s on %s)", show.Line(actor(s)), s.Spec.ConnectionRef.Name)
	switch {
	case !live(s):
		fmt.Fprintf(streams.Out, "%s is over already%s: %s\n", label, who, show.Line(s.Status.EndReason))
		return s, nil
	case s.Spec.Terminate != nil:
		fmt.Fprintf(streams.Out, "%s was told to end already%s: %s\n", label, who, show.Line(s.Spec.Terminate.Reason))
		return s, nil
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": s.UID},
		{"op": "add", "path": "/spec/terminate", "value": v1alpha1.Termination{Reason: o.reason}},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot write why: %w", err)
	}
	if err := c.Patch(ctx, s, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return nil, o.refused(ctx, c, s, err)
	}
	fmt.Fprintf(streams.Out, "%s told to end%s\n", label, who)
	return s, nil
}

// refused says what the API server's refusal means.
func (o *killing) refused(ctx context.Context, c client.Client, s *v1alpha1.AuditSession, err error) error {
	asked := cluster.Request{Verb: "patch", Resource: cluster.Ours(resource), Namespace: s.Namespace, Name: s.Name}
	if apierrors.IsForbidden(err) {
		if may, failed := cluster.Permitted(ctx, c, "patch", resource, s.Namespace, s.Name); failed == nil && !may {
			asked.Remedy = "an admin has to bind ClusterRole doorward-editor or doorward-admin to you in that namespace"
			return asked.Failed(err)
		}
		return fmt.Errorf("cannot end session %q: %w", s.Name, err)
	}
	if now, failed := read(ctx, c, o.Flags, s.Name); failed == nil && (now.UID != s.UID || now.Spec.Terminate != nil) {
		return fmt.Errorf("session %q changed since it was read: look at it with \"kubectl doorward sessions -n %s %s\", and try again", s.Name, s.Namespace, s.Name)
	}
	return asked.Failed(err)
}

// await waits until a session has ended, or is gone.
func (o *killing) await(ctx context.Context, c client.WithWatch, streams genericiooptions.IOStreams, s *v1alpha1.AuditSession) error {
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	query := cluster.Object(s.Namespace, s.Name)
	list := &v1alpha1.AuditSessionList{}
	if err := cluster.List(waiting, c, list, query, resource); err != nil {
		return fmt.Errorf("session %q was told to end; whether it has is not known: %w", s.Name, err)
	}
	last := s
	ended := func(now *v1alpha1.AuditSession) bool {
		last = now
		return now.UID != s.UID || !live(now)
	}
	gone := len(list.Items) == 0
	if !gone && !ended(&list.Items[0]) {
		err := cluster.Watch(waiting, c, list, query, resource, func(event watch.EventType, object client.Object) (bool, error) {
			now, ok := object.(*v1alpha1.AuditSession)
			gone = event == watch.Deleted
			return gone || ok && ended(now), nil
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("session %q has not ended within %s: its proxy %q does not answer: see \"kubectl -n %s get connection %s\"; the proxy refuses all when it cannot reach the API server for long",
				s.Name, o.timeout, s.Spec.ProxyInstance, s.Namespace, s.Spec.ConnectionRef.Name)
		case err != nil:
			return fmt.Errorf("session %q was told to end; whether it has is not known: %w", s.Name, err)
		}
	}
	text := "ended"
	if !gone && last.Status.Phase == v1alpha1.SessionLost {
		text = "is lost: its proxy is gone"
	}
	_, err := fmt.Fprintf(streams.Out, "auditsession.%s/%s %s\n", v1alpha1.GroupName, s.Name, text)
	return err
}
