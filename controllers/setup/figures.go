// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/enforcement"
	"github.com/doorward/doorward/controllers/figures"
	"github.com/doorward/doorward/controllers/publish"
)

// figuresOf makes the figures that are counted; nil, which counts nothing, where
// nobody wants any.
func figuresOf(o Options, publisher *publish.Publisher) (*figures.Figures, error) {
	if o.Metrics == nil {
		return nil, nil //nolint:nilnil // counts nothing
	}
	counted, err := figures.New(o.Metrics, o.Version)
	if err != nil {
		return nil, fmt.Errorf("cannot register metrics: %w", err)
	}
	publisher.Observe(counted)
	return counted, nil
}

// watchState registers the figures that are read when they are asked for.
func watchState(o Options, mgr ctrl.Manager, prover *enforcement.Prover, authority, hosts *ca.Store) error {
	if o.Metrics == nil {
		return nil
	}
	if err := figures.Watch(o.Metrics, figures.Sources{
		Reader: mgr.GetCache(), Elected: mgr.Elected(), Proven: prover.Proven,
		AuthorityExpiry: map[string]func() time.Time{"serving": authority.Expiry, "ssh-host": hosts.Expiry},
	}); err != nil {
		return fmt.Errorf("cannot register metrics: %w", err)
	}
	return nil
}
