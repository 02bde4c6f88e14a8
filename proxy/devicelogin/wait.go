// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package devicelogin

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

const grantType = "urn:ietf:params:oauth:grant-type:device_code"

const (
	// slower is by how much to ask less often when told to (RFC 8628 section 3.5).
	slower = 5 * time.Second
	// maxSilence is how often in a row the portal may fail to answer.
	maxSilence = 3
	// closeBound is how long giving back may take, while a proxy that drains waits.
	closeBound = 3 * time.Second
)

// login is one login under way.
type login struct {
	logins *Logins
	// host and network are where the caller is, as paces have it.
	host, network string
	portal        portal
	// secret is the code verifier, which the token is bound to.
	secret               string
	deviceCode, userCode string
	link                 string
	expiry               time.Time
	interval             time.Duration
	// token is what came of it; empty for nothing yet.
	token string
}

// Link implements access.DeviceLogin.
func (d *login) Link() string { return d.link }

// UserCode implements access.DeviceLogin.
func (d *login) UserCode() string { return d.userCode }

// ExpiresAt implements access.DeviceLogin.
func (d *login) ExpiresAt() time.Time { return d.expiry }

// Wait implements access.DeviceLogin.
func (d *login) Wait(ctx context.Context) (identity.Credential, error) {
	limited, cancel := context.WithDeadlineCause(ctx, d.expiry, access.ErrLoginExpired)
	defer cancel()
	bounded, leave := context.WithCancelCause(limited)
	defer leave(nil)
	exit, ok := d.logins.waiting.enter(d.network, func() { leave(access.ErrLoginPace) })
	if !ok {
		return identity.Credential{}, access.ErrLoginPace
	}
	defer exit()
	silent := 0
	for {
		// At once: who has logged in already does not wait.
		answered, err := d.portal.post(bounded, "/token", url.Values{
			"grant_type": {grantType}, "client_id": {gateway.ProxyClient}, "device_code": {d.deviceCode}, "code_verifier": {d.secret},
		})
		switch {
		case ctx.Err() != nil:
			return identity.Credential{}, ctx.Err()
		case bounded.Err() != nil:
			return identity.Credential{}, context.Cause(bounded)
		case err != nil:
			silent++
			if silent == maxSilence {
				return identity.Credential{}, err
			}
		default:
			silent = 0
			if credential, done, err := d.read(answered); done {
				return credential, err
			}
		}
		timer := time.NewTimer(d.interval)
		select {
		case <-timer.C:
		case <-bounded.Done():
			timer.Stop()
			if ctx.Err() != nil {
				return identity.Credential{}, ctx.Err()
			}
			return identity.Credential{}, context.Cause(bounded)
		}
	}
}

// read says whether an answer of the token endpoint is the last.
func (d *login) read(a *answer) (credential identity.Credential, done bool, err error) {
	switch a.Error {
	case "":
	case "authorization_pending":
		return credential, false, nil
	case slowDown:
		d.interval = min(d.interval+slower, maxInterval)
		return credential, false, nil
	case "expired_token":
		return credential, true, access.ErrLoginExpired
	default:
		return credential, true, a.refusal()
	}
	if a.AccessToken == "" || len(a.AccessToken) > identity.MaxTokenBytes || a.TokenType != "Bearer" {
		return credential, true, errors.New("the login portal's answer holds no token that a proxy takes")
	}
	d.token = a.AccessToken
	// Many people may be behind one address: those who log in do not flood the portal.
	d.logins.hosts.Return(d.host, time.Now())
	return identity.BoundToken(d.token, d.secret), true, nil
}

// Close implements access.DeviceLogin, by RFC 7009. What cannot be given back ends by itself.
func (d *login) Close() {
	if d.token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeBound)
	defer cancel()
	_, _ = d.portal.post(ctx, "/revoke", url.Values{"client_id": {gateway.ProxyClient}, "token": {d.token}, "code_verifier": {d.secret}})
	d.token = ""
}
