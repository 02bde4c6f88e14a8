// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/relay"
)

// proveBound is how long one target may take to let the proxy in.
const proveBound = 15 * time.Second

// dial logs in at the target.
func (h *handler) dial(ctx context.Context, s *session, asked wish) (*peer, error) {
	var target *peer
	err := s.grant.Dial(ctx, func(ctx context.Context, up access.Upstream) error {
		var err error
		target, err = h.prove(ctx, s, up, asked)
		return err
	})
	return target, err
}

// prove logs in at one target that answered. The host key is checked before anything is sent
// that could be of use to another.
func (h *handler) prove(ctx context.Context, s *session, up access.Upstream, asked wish) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, proveBound)
	defer cancel()
	name, refusal := asked.login(s.grant.TargetRole(), up.Credential.Username(), s.connection)
	if refusal != nil {
		return nil, refusal
	}
	signer, err := h.seams.signer(ctx, s.grant, up, name)
	if errors.As(err, &refusal) {
		return nil, refusal // told already
	}
	if err != nil {
		return nil, s.grant.Trouble(&access.Refusal{
			Reason: access.ReasonUnavailable, Message: "the credential for the target cannot be used",
			Hint: "Ask an admin to look at the Connection's credential.",
		}, err)
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
	conn, channels, requests, err := ssh.NewClientConn(first, net.JoinHostPort(up.Target.Host, fmt.Sprint(up.Target.Port)), &ssh.ClientConfig{
		Config: targetConfig(), User: name, Auth: auth, ClientVersion: version,
		HostKeyAlgorithms: s.options.keys.algorithms(up.Target.Host, up.Target.Port),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			return s.options.keys.verify(up.Target.Host, up.Target.Port, key)
		},
		AuthCallback: func(at *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
			return nil, ordered(first.strict.Load(), at.Algorithms)
		},
	})
	if err != nil {
		return nil, s.refused(ctx, err)
	}
	first.proven.Store(true)
	target := &peer{conn, channels, requests}
	if !release() {
		_ = target.Close()
		drop(target)
		return nil, s.refused(ctx, context.Cause(ctx))
	}
	_ = up.Conn.SetDeadline(time.Time{})
	return target, nil
}

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
