// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// attempts bounds how often a decision is sent again because the manager wrote meanwhile.
const attempts = 5

// deciding is one decision on one request.
type deciding struct {
	*cluster.Flags
	verb           verb
	output         *show.Output
	reason, digest string
	yes            bool
	timeout        time.Duration
	broken         error

	client client.WithWatch
	// self is whoever decides, as the API server authenticated them; nil where it does
	// not say.
	self *authenticationv1.UserInfo
}

func (o *deciding) run(ctx context.Context, streams genericiooptions.IOStreams, name string) error {
	if err := errors.Join(o.broken, o.output.Check()); err != nil {
		return err
	}
	// What a revocation may say depends on the request: see fits.
	if err := o.checkReason(); err != nil && !o.verb.revokes {
		return err
	}
	if !o.yes && !show.Terminal(streams.In) {
		return fmt.Errorf("cannot %s without being asked: standard input is no terminal to show the operation on: run it in one, or give --yes", o.verb.name)
	}
	var err error
	if o.client, err = o.Client(); err != nil {
		return err
	}
	r, err := read(ctx, o.client, o.Flags, name)
	if err != nil {
		return err
	}
	if err := o.fits(r); err != nil {
		return fmt.Errorf("cannot %s ApprovalRequest %q: %w", o.verb.name, name, err)
	}
	// Without an answer the API server fills in who decides, if it is new enough.
	if self, err := cluster.Self(ctx, o.client); err == nil {
		o.self = &self
	}
	if !o.yes {
		if err := o.confirm(ctx, streams, r); err != nil {
			return err
		}
	}
	decided, err := o.decide(ctx, r)
	if err != nil {
		return err
	}
	words := streams.Out
	if !o.output.People() {
		words = streams.ErrOut
		if err := o.output.Object(streams.Out, decided.DeepCopy()); err != nil {
			return err
		}
	}
	fmt.Fprintf(words, "approvalrequest.%s/%s %s\n", v1alpha1.GroupName, decided.Name, o.verb.done)
	return o.await(ctx, words, streams.ErrOut, decided)
}

// checkReason asks for a reason, but of those who approve.
func (o *deciding) checkReason() error {
	if o.reason == "" && o.verb.verdict == v1alpha1.VerdictApprove {
		return nil
	}
	return show.CheckReason(o.reason, show.MaxReason)
}

// fits says what keeps a request from being decided on, as far as it says so itself.
func (o *deciding) fits(r *v1alpha1.ApprovalRequest) error {
	switch {
	case over(r):
		return errors.New(overSince(r))
	case o.revokes(r):
		return show.CheckReason(o.reason, show.MaxEndReason)
	case o.checkReason() != nil:
		return o.checkReason()
	case r.DecidedDigest() == "":
		return fmt.Errorf("the manager has not said yet what it asks for: look at it with \"kubectl doorward requests -n %s %s\", and try again", r.Namespace, r.Name)
	case o.digest != "" && o.digest != r.DecidedDigest():
		return fmt.Errorf("it is for %s: its digest is %s, --digest is %s: look at it with \"kubectl doorward requests -n %s %s\"",
			other(r), r.DecidedDigest(), show.Safe(o.digest), r.Namespace, r.Name)
	case o.verb.verdict == v1alpha1.VerdictApprove && o.yes && o.digest == "" && truncated(r):
		return errors.New("the end of the operation is not shown, so --yes needs --digest: get the digest from the caller, who has the whole operation")
	}
	return o.verb.fits(r)
}

// confirm shows what is decided on, once it is known that the API server would take the
// decision, and asks.
func (o *deciding) confirm(ctx context.Context, streams genericiooptions.IOStreams, r *v1alpha1.ApprovalRequest) error {
	if _, err := o.send(ctx, r, client.DryRunAll); err != nil && !moved(err) {
		return o.refused(ctx, r, err)
	}
	if _, err := details(r).WriteTo(streams.ErrOut); err != nil {
		return err
	}
	fmt.Fprintln(streams.ErrOut)
	if lasts(r) {
		return show.Confirm(ctx, streams, o.verb.sessionQuestion)
	}
	return show.Confirm(ctx, streams, o.verb.question)
}

// decide sends the decision for the request as it was shown. Where only the manager wrote
// meanwhile, it is sent again.
func (o *deciding) decide(ctx context.Context, shown *v1alpha1.ApprovalRequest) (*v1alpha1.ApprovalRequest, error) {
	r := shown
	for range attempts {
		decided, err := o.send(ctx, r)
		if err == nil {
			return decided, nil
		}
		if !moved(err) && !apierrors.IsInvalid(err) {
			return nil, o.refused(ctx, r, err)
		}
		now, failed := read(ctx, o.client, o.Flags, r.Name)
		if failed != nil {
			return nil, failed
		}
		if now.UID == r.UID && now.ResourceVersion == r.ResourceVersion {
			return nil, o.refused(ctx, r, err)
		}
		if what := o.changed(shown, now); what != "" {
			return nil, fmt.Errorf("not %s: ApprovalRequest %q changed since it was read: %s: look at it with \"kubectl doorward requests -n %s %s\", and decide again",
				o.verb.done, r.Name, what, r.Namespace, r.Name)
		}
		r = now
	}
	return nil, fmt.Errorf("not %s: ApprovalRequest %q changes all the time: try again", o.verb.done, r.Name)
}

// moved says whether the object is no longer the one that was read.
func moved(err error) bool { return apierrors.IsConflict(err) }

// changed says what matters of what happened since a request was shown.
func (o *deciding) changed(shown, now *v1alpha1.ApprovalRequest) string {
	switch {
	case now.UID != shown.UID:
		return "it is another request of the same name"
	case over(now):
		return overSince(now)
	case now.DecidedDigest() != shown.DecidedDigest() && !o.revokes(now):
		return "it is for " + other(now)
	case len(now.Spec.Decisions) == len(shown.Spec.Decisions):
		return ""
	}
	if o.revokes(now) {
		return "" // It ends, whatever others decided.
	}
	// Whoever was shown nothing asked for the operation, whoever else approves it.
	for _, d := range now.Spec.Decisions[len(shown.Spec.Decisions):] {
		if o.yes && d.Verdict == v1alpha1.VerdictApprove {
			continue
		}
		who := "somebody"
		if d.Approver != nil {
			who = show.Line(d.Approver.Username)
		}
		return fmt.Sprintf("%s decided: %s", who, d.Verdict)
	}
	return ""
}

// revokes says whether what is sent is a revocation, which requests of scope Session have;
// what is held for an approval is denied.
func (o *deciding) revokes(r *v1alpha1.ApprovalRequest) bool { return o.verb.revokes && lasts(r) }

// other is what a request is for whose digest is not the expected one.
func other(r *v1alpha1.ApprovalRequest) string {
	if lasts(r) {
		return "something else"
	}
	return "another operation"
}

func (o *deciding) decision(r *v1alpha1.ApprovalRequest) v1alpha1.Decision {
	decision := v1alpha1.Decision{Verdict: o.verb.verdict, OperationDigest: r.DecidedDigest(), Comment: o.reason}
	if o.self != nil {
		decision.Approver = &v1alpha1.DecisionApprover{Username: o.self.Username, Groups: o.self.Groups, UID: o.self.UID}
	}
	return decision
}

func (o *deciding) revocation() v1alpha1.Revocation {
	revocation := v1alpha1.Revocation{Reason: o.reason}
	if o.self != nil {
		revocation.Username = o.self.Username
	}
	return revocation
}

// send adds the decision at the end, or the revocation, if the request is the one that was read, in the
// version that was read.
func (o *deciding) send(ctx context.Context, r *v1alpha1.ApprovalRequest, options ...client.PatchOption) (*v1alpha1.ApprovalRequest, error) {
	path, value := "/spec/decisions/-", any(o.decision(r))
	if o.revokes(r) {
		path, value = "/spec/revoke", o.revocation()
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": r.UID},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": r.ResourceVersion},
		{"op": "add", "path": path, "value": value},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot write the decision: %w", err)
	}
	decided := r.DeepCopy()
	return decided, o.client.Patch(ctx, decided, client.RawPatch(types.JSONPatchType, patch), options...)
}
