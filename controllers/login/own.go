// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// proveOwn proves who a token of the portal's own is about, as proxies do, but by the object
// itself, whatever snapshots say by now. It must not have been revoked, and what is made of
// it ends no later than it does: nobody renews a proof with what it was proof for.
func (p *Portal) proveOwn(ctx context.Context, now *inForce, what, token string) (*proof, error) {
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	shown, err := keys.verifier.Token(token)
	if err != nil {
		return nil, ofVerifier(what, err)
	}
	var credential v1alpha1.GatewayCredential
	err = p.live.Get(ctx, client.ObjectKey{Name: shown.ID}, &credential)
	switch {
	case apierrors.IsNotFound(err):
		return nil, refuse(codeInvalidGrant, "%s: credential %s is not there any more: log in again", what, shown.ID)
	case err != nil:
		return nil, unavailable(err)
	case credential.Spec.Revoke != nil:
		return nil, refuse(codeInvalidGrant, "%s: credential %s was revoked: log in again", what, credential.Name)
	case now.byName[shown.Provider] == nil || credential.Spec.IdentityProvider != shown.Provider:
		return nil, refuse(codeInvalidGrant, "%s: IdentityProvider %q is not in force, or has no spec.login any more", what, shown.Provider)
	}
	var all claims
	if err := json.Unmarshal(shown.Claims, &all); err != nil {
		return nil, unavailable(err)
	}
	return &proof{
		Provider: shown.Provider, ID: shown.Proof, Owner: credential.Spec.Owner, Claims: all.withoutTimes(), NotAfter: earlier(shown.ExpiresAt, credential.Spec.ExpiresAt.Time),
		Actor: credential.Spec.Actor, Depth: depth(all["act"]), DerivedFrom: credential.Name,
	}, nil
}

func earlier(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{a, b}, time.Time.Compare) }

// depth is how many actors a chain names.
func depth(act json.RawMessage) int {
	n := 0
	for len(act) > 0 && n <= maxActors {
		var link claims
		if json.Unmarshal(act, &link) != nil || link == nil {
			break
		}
		n, act = n+1, link["act"]
	}
	return n
}
