// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

// proveOwn proves who a token of the portal's own is about. It must not have been revoked,
// and what is made of it ends no later than it does: nobody renews a proof with what it
// was proof for.
func (p *Portal) proveOwn(ctx context.Context, now *inForce, what, token string) (*proof, error) {
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	bad := refuse(codeInvalidGrant, "%s: not a gateway token of this portal that is good now: log in again", what)
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(signed.Signatures) != 1 || strings.ContainsAny(token, "\r\n") {
		return nil, bad
	}
	header := signed.Signatures[0].Protected
	kind, _ := header.ExtraHeaders[jose.HeaderType].(string)
	key := keys.public[header.KeyID]
	if kind != gateway.TokenType || key == nil {
		return nil, bad
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, bad
	}
	var found struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Provider string `json:"provider"`
		Proof    string `json:"proof"`
		Claims   claims `json:"claims"`
	}
	var all claims
	if json.Unmarshal(payload, &found) != nil || json.Unmarshal(payload, &all) != nil {
		return nil, bad
	}
	expiry, err := all.instant("exp")
	if err != nil || found.Issuer != gateway.Issuer || found.Audience != gateway.Audience || found.ID == "" || !p.now().Before(expiry) {
		return nil, bad
	}
	var credential v1alpha1.GatewayCredential
	err = p.live.Get(ctx, client.ObjectKey{Name: found.ID}, &credential)
	switch {
	case apierrors.IsNotFound(err):
		return nil, bad
	case err != nil:
		return nil, unavailable(err)
	case credential.Spec.Revoke != nil:
		return nil, refuse(codeInvalidGrant, "%s: credential %s was revoked: log in again", what, credential.Name)
	case now.byName[found.Provider] == nil || credential.Spec.IdentityProvider != found.Provider:
		return nil, refuse(codeInvalidGrant, "%s: IdentityProvider %q is not in force, or has no spec.login any more", what, found.Provider)
	}
	return &proof{
		Provider: found.Provider, ID: found.Proof, Owner: credential.Spec.Owner, Claims: found.Claims, NotAfter: earlier(expiry, credential.Spec.ExpiresAt.Time),
		Actor: credential.Spec.Actor, Depth: depth(found.Claims["act"]), DerivedFrom: credential.Name,
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
