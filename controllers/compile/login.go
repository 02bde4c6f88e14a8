// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/snapshot"
)

// The ConfigMap of the operator's namespace with the public keys that gateway credentials
// are signed with, as PEM blocks "PUBLIC KEY".
const (
	LoginKeysName = "doorward-login-keys"
	LoginKeysKey  = "keys.pem"
)

// credentialSkew is for how long after its end a revoked credential is still named: a
// proxy's clock may be behind.
const credentialSkew = 5 * time.Minute

// Login is what proves gateway credentials: the keys, as they are in the ConfigMap, and
// which of the credentials are revoked. Whatever is wrong with either makes all of them
// worth nothing. One that somebody deletes before it has expired counts as revoked for as
// long as a finalizer keeps it.
func Login(keys string, credentials []v1alpha1.GatewayCredential, now time.Time) snapshot.Login {
	parsed, err := gateway.ParseKeys([]byte(keys))
	if err != nil {
		return snapshot.Login{Closed: fmt.Sprintf("ConfigMap %s, key %s: %v: ask an admin to delete the ConfigMap, which the manager makes anew", LoginKeysName, LoginKeysKey, err)}
	}
	if len(parsed) == 0 {
		return snapshot.Login{}
	}
	login := snapshot.Login{Keys: parsed}
	for i := range credentials {
		c := &credentials[i]
		if reason, revoked := revocation(c); revoked && now.Before(c.Spec.ExpiresAt.Add(credentialSkew)) {
			login.Revoked = append(login.Revoked, snapshot.Revoked{ID: c.Name, Reason: reason})
		}
	}
	if len(login.Revoked) > snapshot.MaxRevoked {
		login.Closed = fmt.Sprintf("all gateway credentials are refused, since %d of them are revoked and at most %d can be told apart: use a token of the identity provider, or wait until some have expired",
			len(login.Revoked), snapshot.MaxRevoked)
		login.Revoked = nil
	}
	slices.SortFunc(login.Revoked, func(a, b snapshot.Revoked) int { return strings.Compare(a.ID, b.ID) })
	return login
}

// Revoked says whether a credential is revoked.
func Revoked(c *v1alpha1.GatewayCredential) bool {
	_, revoked := revocation(c)
	return revoked
}

func revocation(c *v1alpha1.GatewayCredential) (reason string, revoked bool) {
	switch {
	case c.Spec.Revoke != nil:
		return strings.ToValidUTF8(identity.Shorten(c.Spec.Revoke.Reason), ""), true
	case c.DeletionTimestamp != nil:
		return "its GatewayCredential was deleted", true
	}
	return "", false
}

// loginOf is what of the world's login a Connection needs: nothing, where no provider
// that it has takes gateway credentials.
func loginOf(s *snapshot.Snapshot, login snapshot.Login) snapshot.Login {
	if slices.ContainsFunc(s.IdentityProviders, func(p snapshot.IdentityProvider) bool { return p.Login }) {
		return login
	}
	return snapshot.Login{}
}

// narrowLogin takes what both prove, but for what next has revoked.
func narrowLogin(previous, next snapshot.Login) snapshot.Login {
	next.Keys = slices.DeleteFunc(slices.Clone(next.Keys), func(key []byte) bool {
		return !slices.ContainsFunc(previous.Keys, func(other []byte) bool { return bytes.Equal(key, other) })
	})
	return next
}
