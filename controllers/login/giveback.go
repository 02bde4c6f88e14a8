// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

// giveBack is the revocation endpoint (RFC 7009), for what is bound to one login at a proxy:
// when that is over, nobody can use it any more, and its object would only stand in its owner's
// way to a further one. Who gives it back shows what it is bound to. It answers alike whether
// there was such a token (section 2.2).
func (p *Portal) giveBack(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	if got := form.Get("client_id"); got != gateway.ProxyClient {
		return refuse(codeInvalidClient, "unknown client_id: %q: want %q; others run 'kubectl doorward credentials revoke NAME'", shortened(got), gateway.ProxyClient)
	}
	keys, err := p.keys.Keys(r.Context())
	if err != nil {
		return unavailable(err)
	}
	if statement, err := keys.verifier.BoundToken(form.Get("token"), form.Get("code_verifier")); err == nil {
		if err := p.forget(r, statement.ID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

// forget deletes the object of a credential that nobody can use. One that is revoked stays as
// long as every other: what a snapshot names is to be found.
func (p *Portal) forget(r *http.Request, id string) error {
	var object v1alpha1.GatewayCredential
	err := p.live.Get(r.Context(), client.ObjectKey{Name: id}, &object)
	if apierrors.IsNotFound(err) || err == nil && object.Spec.Revoke != nil {
		return nil
	}
	if err == nil {
		// The resource version keeps one that is revoked just now.
		err = p.live.Delete(r.Context(), &object, client.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion})
	}
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return unavailable(err)
	}
	p.log.Info("Credential given back", append(about(&object), "client", p.addressOf(r).String())...)
	return nil
}
