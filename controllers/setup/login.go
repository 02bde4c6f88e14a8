// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/proxy/identity/oidc"
)

// addLogin adds what looks after GatewayCredentials and, where there are settings for it,
// the login portal.
func addLogin(ctx context.Context, mgr ctrl.Manager, direct client.Client, o Options, authority *ca.Store, user string) error {
	if err := (&login.Reconciler{Client: mgr.GetClient(), User: user}).SetupWithManager(mgr); err != nil {
		return err
	}
	if o.Login.Address == "" {
		if o.Login.URL != "" || o.Login.CertificateFile != "" || o.Login.KeyFile != "" || o.Login.CAFile != "" {
			return errors.New("--login-url, --login-certificate, --login-key and --login-ca are of no use without --login-address")
		}
		return nil
	}
	keys := login.NewKeyStore(direct, o.Namespace)
	portal, err := login.New(login.Options{
		Settings: o.Login, Cached: mgr.GetClient(), Live: direct, Namespace: o.Namespace, User: user, Keys: keys, Authority: authority,
		Pool: oidc.NewPool(ctx), Log: o.Logger.WithName("login"), Metrics: o.Metrics,
	})
	if err != nil {
		return err
	}
	return errors.Join(mgr.Add(keys), mgr.Add(portal))
}

// portalOf is the portal as proxies reach it; zero where there is none. What is wrong with the
// settings, addLogin says.
func portalOf(s login.Settings) connection.Portal {
	parsed, err := login.CheckSettings(s)
	if s.Address == "" || err != nil {
		return connection.Portal{}
	}
	return connection.Portal{URL: parsed.String(), Own: s.CertificateFile == "", CAFile: s.CAFile}
}
