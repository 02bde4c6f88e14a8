// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Portal is the manager's login portal as proxies reach it.
type Portal struct {
	// URL is https://host or https://host:port; empty for no portal.
	URL string
	// Own says that the manager's own authority signs its serving certificate. Else CAFile
	// are the authorities, in PEM; those of the proxies' system where it is empty.
	Own    bool
	CAFile string
}

// portal is what snapshots say of the portal.
func (r *Reconciler) portal(ctx context.Context) (snapshot.LoginPortal, error) {
	at, pem, err := snapshot.LoginPortal{URL: r.Portal.URL}, []byte(nil), error(nil)
	switch {
	case r.Portal.URL == "":
		return at, nil
	case r.Portal.Own:
		pem, err = r.bundle(ctx, ca.SecretName, r.Authority)
	case r.Portal.CAFile != "":
		if pem, err = os.ReadFile(r.Portal.CAFile); err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			err = fmt.Errorf("file %q holds no certificate in PEM", r.Portal.CAFile)
		}
	}
	if err != nil {
		return snapshot.LoginPortal{}, fmt.Errorf("cannot read the authorities of the login portal: %w: see --login-ca of the manager", err)
	}
	at.CA = string(pem)
	return at, nil
}
