// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// revoking are the flags of revoke.
type revoking struct {
	*cluster.Flags
	reason string
}

func newRevoke(streams genericiooptions.IOStreams) *cobra.Command {
	o := &revoking{Flags: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "revoke NAME... --reason TEXT",
		Short: "End credentials of the login portal",
		Long: `End credentials, for good: proxies take them no more, the sessions that rest on them end,
and so do the credentials that were made of them.

You can end your own, and those of others with the verb revoke on them.`,
		Example: `  # A token that was copied to where it should not be
  kubectl doorward credentials revoke 9f2c4e6a81b35d7092ce4f1a6b8d3057 --reason 'posted in a chat'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no name: say which credentials you end; see \"kubectl doorward credentials\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, args) },
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for the record.")
	_ = cmd.MarkFlagRequired("reason")
	o.Add(cmd)
	return cmd
}

func (o *revoking) run(ctx context.Context, streams genericiooptions.IOStreams, names []string) error {
	if err := show.CheckReason(o.reason, show.MaxEndReason); err != nil {
		return err
	}
	c, err := o.Client()
	if err != nil {
		return err
	}
	self, err := cluster.Self(ctx, c)
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		if err := o.revoke(ctx, c, streams, name, self.Username); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// revoke ends one credential, unless it has ended already.
func (o *revoking) revoke(ctx context.Context, c client.Client, streams genericiooptions.IOStreams, name, by string) error {
	asked := cluster.Request{Verb: "get", Resource: cluster.Ours(resource), Name: name, Remedy: ownerRemedy}
	object := &v1alpha1.GatewayCredential{}
	if err := c.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("no credential %q: it has expired, or there never was one: see \"kubectl doorward credentials\"", name)
		}
		return asked.Failed(err)
	}
	label := fmt.Sprintf("gatewaycredential.%s/%s", v1alpha1.GroupName, name)
	switch state(object) {
	case revoked:
		_, err := fmt.Fprintf(streams.Out, "%s was revoked already by %s: %s\n", label, show.Line(object.Spec.Revoke.Username), show.Line(object.Spec.Revoke.Reason))
		return err
	case expired:
		_, err := fmt.Fprintf(streams.Out, "%s has expired already\n", label)
		return err
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": object.UID},
		{"op": "add", "path": "/spec/revoke", "value": v1alpha1.Revocation{Reason: o.reason, Username: by}},
	})
	if err != nil {
		return fmt.Errorf("cannot write why: %w", err)
	}
	if err := c.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		asked.Verb = "patch"
		if apierrors.IsForbidden(err) {
			if may, failed := cluster.Permitted(ctx, c, "patch", resource, "", name); failed == nil && may {
				return fmt.Errorf("cannot revoke credential %q: %w", name, err) // admission says why
			}
		}
		return asked.Failed(err)
	}
	_, err = fmt.Fprintf(streams.Out, "%s revoked (%s)\n", label, show.Line(owner(object)))
	return err
}
