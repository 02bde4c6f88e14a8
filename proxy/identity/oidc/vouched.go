// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// vouchedSkew is by how much the clocks of the manager and of a proxy may differ at the
// beginning of a credential. Its end is checked by who verifies the credential, to the
// second.
const vouchedSkew = time.Minute

// Vouched makes a caller of claims that the issuer has made and the manager vouches for:
// a JSON object, whose iat, nbf and exp are those of the manager's credential. All else
// is as for a token: issuer, audience, class, rules and mappings. Nobody can vouch for
// what the API server has to be asked about each time (TokenReview). Errors wrap
// identity.ErrRejected.
func (v *Verifier) Vouched(ctx context.Context, raw json.RawMessage) (identity.Principal, error) {
	if v.config.Review != nil {
		return identity.Principal{}, rejected(fmt.Errorf("IdentityProvider %q wants a TokenReview of each token: show the token itself", v.config.Name))
	}
	if err := identity.UniqueNames(raw); err != nil {
		return identity.Principal{}, rejected(err)
	}
	all, err := claimsIn(raw)
	if err != nil {
		return identity.Principal{}, rejected(err)
	}
	principal, err := v.principal(ctx, all, max(v.config.ClockSkew, vouchedSkew))
	if err != nil {
		return identity.Principal{}, rejected(err)
	}
	return principal, nil
}
