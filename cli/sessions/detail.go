// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sessions

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// one shows one session.
func (o *listing) one(ctx context.Context, streams genericiooptions.IOStreams, name string) error {
	if o.All || o.live || o.watch || o.connection != "" || o.actor != "" || o.Selector != "" || o.FieldSelector != "" {
		return fmt.Errorf("a name and flags that choose: %q is shown alone: leave out the name, or the flags", name)
	}
	c, err := o.Client()
	if err != nil {
		return err
	}
	s, err := read(ctx, c, o.Flags, name)
	if err != nil {
		return err
	}
	if !o.output.People() {
		return o.output.Object(streams.Out, s)
	}
	if _, err = details(s).WriteTo(streams.Out); err != nil {
		return err
	}
	if live(s) && s.Spec.Terminate == nil {
		_, err = fmt.Fprintf(streams.Out, "\nTo end it:\n  kubectl doorward kill -n %s %s --reason TEXT\n", s.Namespace, s.Name)
	}
	return err
}

// read gets one session.
func read(ctx context.Context, c client.Client, f *cluster.Flags, name string) (*v1alpha1.AuditSession, error) {
	namespace, err := f.Scope()
	if err != nil {
		return nil, err
	}
	s := &v1alpha1.AuditSession{}
	err = c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
	return s, cluster.Request{Verb: "get", Resource: cluster.Ours(resource), Namespace: namespace, Name: name}.Failed(err)
}

// shared says from where else the caller's credential is used; empty where nobody found that.
func shared(s *v1alpha1.AuditSession) string {
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionSharedCredential)
	if c == nil || c.Status != metav1.ConditionTrue {
		return ""
	}
	return c.Message
}

func details(s *v1alpha1.AuditSession) *show.Details {
	d, a := &show.Details{}, &s.Spec.Actor
	acting := make([]string, 0, len(a.Delegation))
	for _, delegate := range a.Delegation {
		text := delegate.Subject
		if delegate.Issuer != "" {
			text += " by " + delegate.Issuer
		}
		acting = append(acting, text)
	}
	ending := ""
	if s.Spec.Terminate != nil {
		ending = s.Spec.Terminate.Reason
	}
	where := ""
	if l := s.Status.Log; l != nil {
		where = fmt.Sprintf("log %s, records %d to %d", l.ID, l.FirstRecord, l.LastRecord)
	}
	d.Fields(
		"Name", s.Name,
		"Namespace", s.Namespace,
		"Phase", phase(s),
		"Connection", s.Spec.ConnectionRef.Name,
		"Actor", a.Username,
		"Acting for them", strings.Join(acting, ", "),
		"Kind", string(a.Kind),
		"Kubernetes user", a.KubernetesUsername,
		"Groups", strings.Join(a.Groups, ", "),
		"Proven as", a.Subject+" by "+a.Issuer,
		"Identity provider", a.IdentityProvider,
		"Authenticated by", a.AuthenticationMethod,
		"Credential", a.ProofID,
		"Shared credential", shared(s),
		"Client", s.Spec.ClientAddress,
		"Proxy", s.Spec.ProxyInstance,
		"Started", show.Time(s.Spec.StartedAt),
		"Last activity", show.Time(value(s.Status.LastActivityAt)),
		"Ended", show.Time(value(s.Status.EndedAt)),
		"End", s.Status.EndReason,
		"Told to end", ending,
		"Went ahead without approvals, by", strings.Join(s.Status.BreakGlass, ", "),
		"Records", where,
	)
	if o := s.Status.Operations; o != nil {
		row := func(name string, count int64) []string { return []string{name, strconv.FormatInt(count, 10)} }
		d.Rows("Operations", [][]string{
			row("total", o.Total), row("allowed", o.Allowed), row("denied", o.Denied), row("held", o.Held), row("masked", o.Masked), row("failed", o.Failed),
		})
	}
	return d
}
