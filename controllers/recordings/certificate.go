// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// checkEvery is how often the certificate is held against the authorities: after a
// rotation, every reader has both for weeks.
const checkEvery = 5 * time.Minute

// Certificate is a serving certificate of the manager's own authority. Each replica
// makes its own, and keeps it in memory.
type Certificate struct {
	authority *ca.Store
	names     []string
	log       logr.Logger

	mu      sync.Mutex // guards what follows
	pair    ca.Pair
	current *tls.Certificate
	checked time.Time
	said    string
}

// NewCertificate makes a Certificate for the Service in the operator's namespace. The
// authority is read when somebody comes: another replica may be making it now.
func NewCertificate(authority *ca.Store, namespace string, log logr.Logger) (*Certificate, error) {
	name := wire.ServerName(namespace)
	c := &Certificate{authority: authority, names: []string{name, name + ".cluster.local"}, log: log}
	return c, ca.Refused(authority.Constraints(), c.names)
}

// Get returns the certificate, which is renewed in time. While the authority cannot be
// read, the former one stays.
func (c *Certificate) Get(ctx context.Context) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.current != nil && now.Sub(c.checked) < checkEvery {
		return c.current, nil
	}
	err := c.renew(ctx, now)
	switch {
	case err == nil:
		c.said = ""
	case ctx.Err() == nil && err.Error() != c.said: // nobody fills the log by asking
		c.said = err.Error()
		c.log.Error(err, "Cannot renew the certificate of recordings")
	}
	if c.current == nil {
		return nil, err
	}
	c.checked = now
	return c.current, nil
}

// renew makes a certificate where that is due. mu is held.
func (c *Certificate) renew(ctx context.Context, now time.Time) error {
	state, err := c.authority.State(ctx)
	if err != nil {
		return err
	}
	if c.current != nil && !ca.Renew(c.pair, c.names, state.Bundle(), now) {
		return nil
	}
	authority, err := ca.Load(state.Current)
	if err != nil {
		return err
	}
	pair, err := authority.Issue(c.names, now)
	if err != nil {
		return err
	}
	made, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return err
	}
	c.pair, c.current = pair, &made
	return nil
}
