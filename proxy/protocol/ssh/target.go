// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/relay"
	"github.com/doorward/doorward/proxy/snapshot"
)

// extensions are what a session may need of the target (OpenSSH, PROTOCOL.certkeys). What of
// it a caller gets is decided here, by operation.
var extensions = []string{"permit-pty", "permit-port-forwarding", "permit-agent-forwarding", "permit-X11-forwarding"}

// proveBound is how long one target may take to let the proxy in.
const proveBound = 15 * time.Second

// dial logs in at the target.
func (handler) dial(ctx context.Context, s *session, asked wish) (*peer, error) {
	var target *peer
	err := s.grant.Dial(ctx, func(ctx context.Context, up access.Upstream) error {
		var err error
		target, err = prove(ctx, s, up, asked)
		return err
	})
	return target, err
}

// prove logs in at one target that answered. The host key is checked before anything is sent
// that could be of use to another.
func prove(ctx context.Context, s *session, up access.Upstream, asked wish) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, proveBound)
	defer cancel()
	name, refusal := asked.login(s.grant.TargetRole(), up.Credential.Username(), s.connection)
	if refusal != nil {
		return nil, refusal
	}
	signer, err := s.grant.SSHSigner(ctx, up, extensions...)
	if err != nil {
		return nil, err
	}
	auth := methods(signer, name, up.Credential)
	if len(auth) == 0 {
		return nil, s.grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the credential holds nothing to log in with as " + plain(name),
			Hint: "Ask an admin for a key, an authority's key, or the password of that login name in the Connection's credential.",
		}, errors.New("no way to log in"))
	}
	_ = up.Conn.SetDeadline(time.Now().Add(proveBound))
	release := sync.OnceValue(relay.Interrupt(ctx, up.Conn))
	defer release()
	first := &opening{Conn: up.Conn}
	conn, channels, requests, err := ssh.NewClientConn(first, net.JoinHostPort(up.Target.Host, fmt.Sprint(up.Target.Port)),
		s.handshake(first, up.Target, name, signer, auth))
	if err != nil {
		return nil, s.refused(ctx, err)
	}
	first.proven.Store(true)
	target := &peer{conn, channels, requests, &first.heard}
	if !release() {
		_ = target.Close()
		drop(target)
		return nil, s.refused(ctx, context.Cause(ctx))
	}
	_ = up.Conn.SetDeadline(time.Time{})
	return target, nil
}

// handshake is the client's side of the login at a target: nothing is proven to one whose key is not
// trusted, or out of whose messages some could be missing.
func (s *session) handshake(first *opening, target snapshot.Target, name string, signer ssh.Signer, auth []ssh.AuthMethod) *ssh.ClientConfig {
	return &ssh.ClientConfig{
		Config: targetConfig(), User: name, Auth: auth, ClientVersion: version,
		HostKeyAlgorithms: s.options.keys.algorithms(target.Host, target.Port),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			return s.options.keys.verify(target.Host, target.Port, key)
		},
		AuthCallback: func(at *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
			if err := ordered(first.strict.Load(), at.Algorithms); err != nil {
				return nil, err
			}
			return nil, certified(signer, at)
		},
	}
}

// certified keeps the password from a target that does not take the certificate of this
// session: its log would name nobody. It may be asked for besides.
func certified(signer ssh.Signer, at *ssh.ClientAuthContext) error {
	const method = "publickey" // RFC 4252, section 7
	if signer == nil {
		return nil
	}
	if _, ok := signer.PublicKey().(*ssh.Certificate); !ok || slices.Contains(at.PartialSuccessMethods, method) {
		return nil
	}
	if slices.Contains(at.TriedMethods, method) || !slices.Contains(at.AllowedMethods, method) {
		return errCertificate
	}
	return nil
}

// errCertificate says that a target lets nobody in by a certificate of its authority.
var errCertificate = errors.New("the target does not take a certificate of the authority whose key the credential holds: name its public half in TrustedUserCAKeys of the target's sshd_config")

// methods are the ways to log in. The password is for the credential's own login name.
func methods(signer ssh.Signer, name string, credential access.TargetCredential) []ssh.AuthMethod {
	var list []ssh.AuthMethod
	if signer != nil {
		list = append(list, ssh.PublicKeys(signer))
	}
	password := credential.Password()
	if password == "" || name != credential.Username() {
		return list
	}
	asked := false
	return append(list, ssh.Password(password),
		// Servers with PAM may ask for nothing but the password by this method.
		ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			if len(questions) == 0 {
				return nil, nil
			}
			if asked || len(questions) != 1 || echos[0] {
				return nil, errors.New("the target asks for more than a password")
			}
			asked = true
			return []string{password}, nil
		}))
}

// refused says what went wrong without what the target said; that is told to the operators.
// What another target may do better is marked.
func (s *session) refused(ctx context.Context, err error) error {
	var network net.Error
	switch {
	case errors.Is(err, errHostKey):
		return s.grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the target showed a host key that the connection does not trust, so nothing was sent to it",
			Hint: "Ask an admin whether the target was replaced; spec.options.hostKeys of the Connection names the keys that are trusted.",
		}, err)
	case errors.Is(err, errOrder):
		return s.grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the target's SSH server is too old to be spoken with safely",
			Hint: "Ask an admin to update it.",
		}, err)
	case ctx.Err() != nil, errors.As(err, &network):
		return access.Elsewhere(s.grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the target could not be reached, or did not answer in time",
			Hint: "Try again; if it lasts, ask an admin to look at the Connection.",
		}, err))
	}
	return s.grant.Trouble(&access.Refusal{
		Reason: access.ReasonUnavailable, Message: "the target did not accept the proxy",
		Hint: "Ask an admin to look at the Connection's credential, and at spec.options.hostKeys.",
	}, err)
}
