// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// sshBackdate is how far a target's clock may be behind the proxy's, and
	// sshValidity how far before it.
	sshBackdate = 5 * time.Minute
	sshValidity = 5 * time.Minute
)

// SSHLogin is one session's login at an SSH target, for who makes the proof of
// it. Only a Grant makes one, so that no protocol can name another caller.
type SSHLogin struct {
	user, keyID, session string
	from, until          time.Time
	extensions           []string
}

// User is the login name at the target.
func (l SSHLogin) User() string { return l.user }

// KeyID names the proven caller and the session in the target's log, in
// printable ASCII of at most 640 bytes:
//
//	user=alice@example.com provider=corp session=data/shop-bcdfgh0123456789
//
// with actors=... before the session where somebody acts for the caller. What
// could deceive a reader is percent-encoded (RFC 3986, section 2.1).
func (l SSHLogin) KeyID() string { return l.keyID }

// Session is the session's id.
func (l SSHLogin) Session() string { return l.session }

// Valid is from when until when a certificate for it may be used.
func (l SSHLogin) Valid() (from, until time.Time) { return l.from, l.until }

// Extensions are what the session needs of the target, such as "permit-pty"
// (OpenSSH PROTOCOL.certkeys).
func (l SSHLogin) Extensions() []string { return slices.Clone(l.extensions) }

// TargetUser is the session's login name at the target: the role that policies
// give the caller, else that of the credential.
func (g *Grant) TargetUser(up Upstream) string {
	if g.role != "" {
		return g.role
	}
	return up.Credential.Username()
}

// SSHSigner makes what proves the proxy to an SSH target, as the user of
// TargetUser: a fresh certificate that names the caller, where the credential
// is an authority's key, else the stored private key; nil, without an error,
// where it is neither. Extensions are what this session needs of the target and
// nothing more. The signer is for the one handshake.
func (g *Grant) SSHSigner(ctx context.Context, up Upstream, extensions ...string) (ssh.Signer, error) {
	if refusal := g.ended(); refusal != nil {
		return nil, refusal
	}
	now := time.Now()
	login := SSHLogin{
		user: g.TargetUser(up), keyID: g.sshKeyID(), session: g.id,
		from: now.Add(-sshBackdate), until: now.Add(sshValidity), extensions: slices.Clone(extensions),
	}
	if end := g.endsAt(); !end.IsZero() && end.Before(login.until) {
		login.until = end
	}
	signer, err := up.Credential.SSHSigner(ctx, login)
	if err != nil {
		err = unavailable(fmt.Sprintf("the credential of connection %q cannot be used for this login", g.gate.config.Connection.Name),
			"Run: "+g.gate.describe(), err)
		g.gate.tell(err)
		return nil, err
	}
	return signer, nil
}

// endsAt is when the session ends at the latest; zero for never.
func (g *Grant) endsAt() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.end
}
