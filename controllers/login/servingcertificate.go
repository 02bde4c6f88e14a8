// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/controllers/ca"
)

const (
	// certificateFresh is how long a serving certificate is shown before it is looked at
	// again, certificateRetry how soon where there is none yet: callers, who are nobody yet,
	// must not have us ask and log at every handshake.
	certificateFresh = time.Minute
	certificateRetry = 5 * time.Second
	// certificateTimeout bounds one look, for which all handshakes wait.
	certificateTimeout = 4 * time.Second
)

// serving is the certificate that the portal shows.
type serving struct {
	settings  Settings
	host      string
	authority CertificateAuthority
	now       func() time.Time
	log       logr.Logger

	mu       sync.Mutex // guards the rest
	shown    *tls.Certificate
	pair     ca.Pair
	lookedAt time.Time
	failure  error // of the last look
}

func newServing(s Settings, at *url.URL, authority CertificateAuthority, now func() time.Time, log logr.Logger) (*serving, error) {
	v := &serving{settings: s, host: at.Hostname(), now: now, log: log}
	if s.CertificateFile == "" {
		if authority == nil {
			return nil, errors.New("cannot serve logins: there is neither a certificate nor an authority")
		}
		v.authority = authority
	}
	return v, nil
}

// show is the certificate of a handshake. One that was there is shown on where there is no
// new one.
func (v *serving) show(ctx context.Context) (*tls.Certificate, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, pause := v.now(), certificateFresh
	if v.shown == nil {
		pause = certificateRetry
	}
	if now.Sub(v.lookedAt) >= pause {
		v.lookedAt = now
		// It is not for the one alone who happens to come now.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), certificateTimeout)
		v.failure = v.load(look, now)
		cancel()
		switch {
		case v.failure == nil:
		case v.shown == nil:
			v.log.Error(v.failure, "Login portal has no certificate and serves nobody")
		default:
			v.log.Error(v.failure, "Cannot renew the certificate of the login portal, and shows the one it has")
		}
	}
	if v.shown == nil {
		return nil, fmt.Errorf("no certificate for the login portal: %w", v.failure)
	}
	return v.shown, nil
}

// load takes what is to be shown from now on; what was shown stays where that fails. mu is
// held, or nobody serves yet.
func (v *serving) load(ctx context.Context, now time.Time) error {
	pair, err := v.find(ctx, now)
	if err != nil {
		return err
	}
	made, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return err
	}
	v.shown, v.pair = &made, pair
	return nil
}

func (v *serving) find(ctx context.Context, now time.Time) (ca.Pair, error) {
	if v.authority == nil {
		certificate, err := os.ReadFile(v.settings.CertificateFile)
		if err != nil {
			return ca.Pair{}, err
		}
		key, err := os.ReadFile(v.settings.KeyFile)
		return ca.Pair{Certificate: certificate, Key: key}, err
	}
	state, err := v.authority.State(ctx)
	if err != nil {
		return ca.Pair{}, err
	}
	names := []string{v.host}
	if !ca.Renew(v.pair, names, state.Bundle(), now) {
		return v.pair, nil
	}
	signer, err := ca.Load(state.Current)
	if err != nil {
		return ca.Pair{}, err
	}
	return signer.Issue(names, now)
}
