// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sessions is the plugin's verbs about AuditSessions: seeing who works where, and
// ending a session.
package sessions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// resource is that of AuditSessions.
const resource = "auditsessions"

// NewCommands returns the commands sessions and kill.
func NewCommands(streams genericiooptions.IOStreams) []*cobra.Command {
	return []*cobra.Command{newSessions(streams), newKill(streams)}
}

// listing are the flags of sessions.
type listing struct {
	*cluster.Flags
	output            *show.Output
	live, watch       bool
	connection, actor string
}

func newSessions(streams genericiooptions.IOStreams) *cobra.Command {
	scheme, err := cluster.Scheme()
	o := &listing{Flags: cluster.NewFlags(), output: show.NewOutput(scheme)}
	cmd := &cobra.Command{
		Use:   "sessions [NAME]",
		Short: "Show sessions",
		Long: `Show the sessions of a namespace, live ones first: who works on which Connection, since
when, and how much. With a name, everything about one of them.

Sessions hold no statement and no answer: those are in the records, which "kubectl
doorward audit show" reads. Numbers of a live session are some seconds old.`,
		Example: `  # Who is there now, and who comes and goes
  kubectl doorward sessions --live --watch

  # What alice did on a Connection
  kubectl doorward sessions --connection orders-db --actor alice`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err != nil {
				return err
			}
			if err := o.output.Check(); err != nil {
				return err
			}
			if len(args) == 1 {
				return o.one(cmd.Context(), streams, args[0])
			}
			return o.run(cmd.Context(), streams)
		},
	}
	o.AddList(cmd)
	o.output.AddTable(cmd)
	cmd.Flags().BoolVar(&o.live, "live", false, "Show those only that go on.")
	cmd.Flags().StringVarP(&o.connection, "connection", "c", "", "Show those only that are on this Connection.")
	cmd.Flags().StringVar(&o.actor, "actor", "", "Show those only of this actor: a user name, a Kubernetes user name or a subject.")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "After listing, show each change as it comes.")
	o.Add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("connection", o.CompleteConnection)
	_ = cmd.RegisterFlagCompletionFunc("actor", cluster.Complete(o.Flags, &v1alpha1.AuditSessionList{}, 0, func(s *v1alpha1.AuditSession) (string, string, bool) {
		return s.Spec.Actor.Username, "", true
	}))
	cmd.ValidArgsFunction = complete(o.Flags, 1, func(*v1alpha1.AuditSession) bool { return true })
	return cmd
}

// complete offers the names of sessions.
func complete(f *cluster.Flags, most int, offered func(*v1alpha1.AuditSession) bool) cobra.CompletionFunc {
	return cluster.Complete(f, &v1alpha1.AuditSessionList{}, most, func(s *v1alpha1.AuditSession) (string, string, bool) {
		return s.Name, fmt.Sprintf("%s, %s on %s", phase(s), show.Bounded(s.Spec.Actor.Username, 40), s.Spec.ConnectionRef.Name), offered(s)
	})
}

func (o *listing) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	c, err := o.Client()
	if err != nil {
		return err
	}
	query, err := o.Query()
	if err != nil {
		return err
	}
	var list v1alpha1.AuditSessionList
	if err := cluster.List(ctx, c, &list, query, resource); err != nil {
		return err
	}
	chosen := []*v1alpha1.AuditSession{}
	shown := map[string]bool{}
	for i := range list.Items {
		if s := &list.Items[i]; o.keep(s) {
			chosen = append(chosen, s)
			shown[string(s.UID)] = true
		}
	}
	slices.SortStableFunc(chosen, liveFirst)
	rows := show.Rows(streams, o.output, "sessions", query.Namespace, columns)
	if err := rows(chosen, !o.watch); err != nil || !o.watch {
		return err
	}
	err = cluster.Watch(ctx, c, &list, query, resource, func(event watch.EventType, object client.Object) (bool, error) {
		s, ok := object.(*v1alpha1.AuditSession)
		// One that was shown is shown once more when it is over.
		if !ok || event == watch.Deleted || !o.keep(s) && !shown[string(s.UID)] {
			return false, nil
		}
		shown[string(s.UID)] = o.keep(s)
		return false, rows([]*v1alpha1.AuditSession{s}, false)
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // whoever watches ends it
	}
	return err
}

func (o *listing) keep(s *v1alpha1.AuditSession) bool {
	a := &s.Spec.Actor
	return (!o.live || live(s)) && (o.connection == "" || s.Spec.ConnectionRef.Name == o.connection) &&
		(o.actor == "" || slices.Contains([]string{a.Username, a.KubernetesUsername, a.Subject}, o.actor))
}

// live says whether a session goes on. One whose proxy has not reported yet does.
func live(s *v1alpha1.AuditSession) bool {
	return s.Status.Phase != v1alpha1.SessionEnded && s.Status.Phase != v1alpha1.SessionLost
}

// phase is a session's, with a word for one that was told to end and has not yet.
func phase(s *v1alpha1.AuditSession) string {
	switch {
	case live(s) && s.Spec.Terminate != nil:
		return "Ending"
	case s.Status.Phase == "":
		return string(v1alpha1.SessionActive)
	}
	return string(s.Status.Phase)
}

// liveFirst puts live sessions before those that are over, and later ones before earlier.
func liveFirst(a, b *v1alpha1.AuditSession) int {
	switch {
	case live(a) && !live(b):
		return -1
	case live(b) && !live(a):
		return 1
	}
	return b.Spec.StartedAt.Compare(a.Spec.StartedAt.Time)
}

const nameShown = 60

var columns = []show.Column[*v1alpha1.AuditSession]{
	{Name: "Name", Value: func(s *v1alpha1.AuditSession) string { return s.Name }},
	{Name: "Actor", Value: func(s *v1alpha1.AuditSession) string { return show.Bounded(actor(s), nameShown) }},
	{Name: "Connection", Value: func(s *v1alpha1.AuditSession) string { return s.Spec.ConnectionRef.Name }},
	{Name: "Phase", Value: phase},
	{Name: "Operations", Value: count(func(c *v1alpha1.OperationCounts) int64 { return c.Total })},
	{Name: "Denied", Value: count(func(c *v1alpha1.OperationCounts) int64 { return c.Denied })},
	{Name: "Started", Value: func(s *v1alpha1.AuditSession) string { return show.When(s.Spec.StartedAt) }},
	{Name: "Idle", Value: func(s *v1alpha1.AuditSession) string {
		if !live(s) {
			return ""
		}
		return show.Age(value(s.Status.LastActivityAt))
	}},
	{Name: "Kind", Wide: true, Value: func(s *v1alpha1.AuditSession) string { return string(s.Spec.Actor.Kind) }},
	{Name: "Client", Wide: true, Value: func(s *v1alpha1.AuditSession) string { return s.Spec.ClientAddress }},
	{Name: "End", Wide: true, Value: func(s *v1alpha1.AuditSession) string { return show.Bounded(s.Status.EndReason, nameShown) }},
}

// actor is the proven caller, with who acts for them.
func actor(s *v1alpha1.AuditSession) string {
	names := make([]string, 0, len(s.Spec.Actor.Delegation)+1)
	for _, d := range s.Spec.Actor.Delegation {
		names = append(names, d.Subject)
	}
	return strings.Join(append(names, s.Spec.Actor.Username), " for ")
}

// count is one of a session's numbers; nothing where its proxy has not reported yet.
func count(of func(*v1alpha1.OperationCounts) int64) func(*v1alpha1.AuditSession) string {
	return func(s *v1alpha1.AuditSession) string {
		if s.Status.Operations == nil {
			return ""
		}
		return strconv.FormatInt(of(s.Status.Operations), 10)
	}
}

func value(t *metav1.Time) metav1.Time {
	if t == nil {
		return metav1.Time{}
	}
	return *t
}
