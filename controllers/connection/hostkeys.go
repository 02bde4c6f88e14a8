// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/proxy/hostkey"
)

// usesHostKeys says whether callers know a Connection's proxies by SSH host keys.
func (r *Reconciler) usesHostKeys(c *v1alpha1.Connection) bool {
	return r.Protocols.UseHostKeys(c.Spec.Protocol)
}

// hostKeys returns the SSH host key of the Connection's proxies with a certificate that is
// good for the names; both are as they were in the serving Secret where nothing is due. The
// key outlives its certificates, so that a caller who has pinned it is not told that the
// proxy is another.
func (r *Reconciler) hostKeys(ctx context.Context, s *scope, names []string, live map[string][]byte) (ca.Pair, error) {
	pair := ca.Pair{Certificate: live[hostkey.Certificate], Key: live[hostkey.PrivateKey]}
	if !ca.RenewHost(pair, names, s.hosts, s.now) {
		return pair, nil
	}
	state, err := r.HostAuthority.State(ctx)
	if err != nil {
		return ca.Pair{}, err
	}
	authority, err := ca.LoadHost(state.Current)
	if err != nil {
		return ca.Pair{}, err
	}
	renewed, err := authority.Certify(pair, s.connection.Namespace+"/"+s.connection.Name, names, s.now)
	if err == nil && len(pair.Key) > 0 && string(renewed.Key) != string(pair.Key) {
		r.warn(s, "HostKeyReplaced", "Certify", "The key %q of Secret %q could not be read, and is another now: callers who had pinned it are warned by their clients. "+
			"See who may write Secrets in this namespace.", hostkey.PrivateKey, ServingSecretName(s.connection.Name))
	}
	return renewed, err
}
