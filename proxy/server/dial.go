// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
)

// dialTimeout bounds the connection to each target address.
const dialTimeout = 5 * time.Second

// Dialer reaches targets and finds their credentials: it is the access.Dialer
// of a proxy.
type Dialer struct {
	// Credentials finds the source that a snapshot names.
	Credentials func(*snapshot.Snapshot) (upstream.CredentialSource, error)
}

var _ access.Dialer = (*Dialer)(nil)

// Dial connects to the first target that answers. The credential is one that
// names the Connection and the very address that was dialled.
func (d *Dialer) Dial(ctx context.Context, s *snapshot.Snapshot) (access.Upstream, error) {
	source, err := d.Credentials(s)
	if err != nil {
		return access.Upstream{}, err
	}
	targets, err := Targets(s)
	if err != nil {
		return access.Upstream{}, err
	}
	conn, target, err := upstream.Dial(ctx, targets, dialTimeout)
	if err != nil {
		return access.Upstream{}, err
	}
	secret, err := source.Get(ctx, upstream.Use{Namespace: s.Connection.Namespace, Name: s.Connection.Name, Target: target})
	if err != nil {
		// The error that matters is the credential's.
		_ = conn.Close()
		return access.Upstream{}, err
	}
	return access.Upstream{
		Conn: conn, Target: snapshot.Target{Host: target.Host, Port: int32(target.Port)}, Credential: credential{secret},
	}, nil
}

// Targets are a snapshot's addresses in the form that upstream dials.
func Targets(s *snapshot.Snapshot) ([]upstream.Target, error) {
	targets := make([]upstream.Target, 0, len(s.Targets))
	for _, t := range s.Targets {
		if t.Port < 1 || t.Port > 65535 {
			return nil, fmt.Errorf("invalid target port: want 1 to 65535: %d", t.Port)
		}
		targets = append(targets, upstream.Target{Host: t.Host, Port: uint16(t.Port)})
	}
	return targets, nil
}

// credential is the road's view of a secret.
type credential struct{ secret upstream.Secret }

func (c credential) Username() string { return c.secret.Username }

func (c credential) Password() string { return c.secret.Password.Reveal() }

func (c credential) Certificate() *tls.Certificate { return c.secret.Certificate.Reveal() }

func (c credential) SSHSigner(_ context.Context, login access.SSHLogin) (ssh.Signer, error) {
	from, until := login.Valid()
	return c.secret.SSHSigner(upstream.SSHLogin{User: login.User(), KeyID: login.KeyID(), From: from, Until: until, Extensions: login.Extensions()})
}

// String hides the credential.
func (credential) String() string { return "[redacted]" }

// GoString hides the credential from %#v.
func (credential) GoString() string { return "[redacted]" }
