// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/figures"
	"github.com/doorward/doorward/controllers/recordings"
)

// addRecordings has every replica serve recordings, where there is an address for it.
func addRecordings(ctx context.Context, mgr ctrl.Manager, direct client.Client, o Options, authority *ca.Store, key ed25519.PrivateKey, counted *figures.Figures) error {
	if o.RecordingsAddress == "" {
		return nil
	}
	certificate, err := recordings.NewCertificate(authority, o.Namespace, o.Logger.WithName("recordings"))
	if err != nil {
		return fmt.Errorf("cannot serve recordings: %w", err)
	}
	config := net.ListenConfig{}
	listener, err := config.Listen(ctx, "tcp", o.RecordingsAddress)
	if err != nil {
		return fmt.Errorf("cannot serve recordings: %w", err)
	}
	host, ok := listener.Addr().(*net.TCPAddr)
	handler := recordings.NewHandler(recordings.Options{
		Reader: direct, Reviews: direct, Logger: o.Logger.WithName("recordings"), Counted: counted.Recording,
		// Where only this machine reaches the manager, its proxies are here too.
		Proxies: &recordings.Proxies{Key: key, Loopback: ok && host.IP.IsLoopback()},
	})
	return mgr.Add(&recordings.Server{Listener: listener, Certificate: certificate.Get, Handler: handler})
}
