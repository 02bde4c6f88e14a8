// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/snapshot"
)

// The ConfigMap of the operator's namespace with the public keys that gateway credentials
// in force may be signed with, as PEM blocks "PUBLIC KEY", the eldest first.
const (
	LoginKeysName = "doorward-login-keys"
	LoginKeysKey  = "keys.pem"
)

// CredentialSkew is for how long after its end a revoked credential is still named: a
// proxy's clock may be behind.
const CredentialSkew = 5 * time.Minute

// Login is what proves gateway credentials: the keys, as they are in the ConfigMap, and
// which of the credentials are revoked. Keys that are faulty make all of them worth
// nothing. Of owners with too many that are revoked, none is good.
func Login(keys string, credentials []v1alpha1.GatewayCredential, now time.Time) snapshot.Login {
	parsed, err := gateway.ParseKeys([]byte(keys))
	if err != nil {
		return snapshot.Login{Closed: fmt.Sprintf("ConfigMap %s, key %s: %v: ask an admin to delete the ConfigMap, which the manager makes anew", LoginKeysName, LoginKeysKey, err)}
	}
	if len(parsed) == 0 {
		return snapshot.Login{}
	}
	login := snapshot.Login{Keys: parsed}
	byOwner := map[string][]snapshot.Revoked{}
	for i := range credentials {
		c := &credentials[i]
		if Revoked(c) && now.Before(c.Spec.ExpiresAt.Add(CredentialSkew)) {
			owner := snapshot.OwnerDigest(c.Spec.Owner.Issuer, c.Spec.Owner.Subject)
			byOwner[owner] = append(byOwner[owner], snapshot.Revoked{ID: c.Name, Reason: strings.ToValidUTF8(identity.Shorten(c.Spec.Revoke.Reason), "")})
		}
	}
	if len(byOwner) > snapshot.MaxRevoked {
		// Nobody can bring this about by what is their own.
		login.Closed = fmt.Sprintf("all gateway credentials are refused, since those of %d owners are revoked and at most %d can be told apart: use a token of the identity provider, or wait until some have expired",
			len(byOwner), snapshot.MaxRevoked)
		return login
	}
	login.Revoked, login.Owners = revoked(byOwner)
	return login
}

// revoked names what is revoked, by owner: each credential, as long as an owner has not
// more than may be named, and all together have room. Room is made by those who have most.
func revoked(byOwner map[string][]snapshot.Revoked) ([]snapshot.Revoked, []snapshot.RevokedOwner) {
	digests := slices.SortedFunc(maps.Keys(byOwner), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(byOwner[b]), len(byOwner[a])), strings.Compare(a, b))
	})
	total := 0
	for _, all := range byOwner {
		total += len(all)
	}
	var credentials []snapshot.Revoked
	var owners []snapshot.RevokedOwner
	for _, digest := range digests {
		all := byOwner[digest]
		if len(all) > snapshot.MaxRevokedOfOwner || total > snapshot.MaxRevoked {
			total -= len(all) - 1
			owners = append(owners, snapshot.RevokedOwner{Digest: digest, Reason: fmt.Sprintf(
				"%d gateway credentials of this owner are revoked, more than can be told apart, so that all of theirs are refused: use a token of the identity provider, or wait until some have expired", len(all))})
			continue
		}
		credentials = append(credentials, all...)
	}
	slices.SortFunc(credentials, func(a, b snapshot.Revoked) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(owners, func(a, b snapshot.RevokedOwner) int { return strings.Compare(a.Digest, b.Digest) })
	return credentials, owners
}

// Revoked says whether a credential is revoked.
func Revoked(c *v1alpha1.GatewayCredential) bool { return c.Spec.Revoke != nil }

// loginOf is what of the world's login a Connection needs: nothing, where no provider
// that it has takes gateway credentials, and no portal, where nobody could log in there by a
// browser.
func loginOf(s *snapshot.Snapshot, world World) snapshot.Login {
	if !slices.ContainsFunc(s.IdentityProviders, func(p snapshot.IdentityProvider) bool { return p.Login }) {
		return snapshot.Login{}
	}
	login := world.Login
	if len(login.Keys) == 0 || login.Closed != "" || !slices.ContainsFunc(world.Providers, func(object v1alpha1.IdentityProvider) bool {
		return Browsed(&object) && slices.ContainsFunc(s.IdentityProviders, func(p snapshot.IdentityProvider) bool { return p.Login && p.Name == object.Name })
	}) {
		login.Portal = snapshot.LoginPortal{}
	}
	return login
}

// Browsed says whether people log in to an IdentityProvider by a browser at the login portal.
func Browsed(p *v1alpha1.IdentityProvider) bool {
	switch {
	case p.Spec.Login == nil:
	case p.Spec.Type == v1alpha1.IdentityProviderOIDC:
		return p.Spec.Login.ClientID != ""
	case p.Spec.Type == v1alpha1.IdentityProviderSAML:
		return true
	}
	return false
}

// narrowLogin takes what both prove, but for what next has revoked. The portal proves
// nothing: it is next's.
func narrowLogin(previous, next snapshot.Login) snapshot.Login {
	next.Keys = slices.DeleteFunc(slices.Clone(next.Keys), func(key []byte) bool {
		return !slices.ContainsFunc(previous.Keys, func(other []byte) bool { return bytes.Equal(key, other) })
	})
	return next
}
