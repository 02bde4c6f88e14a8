// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// SSHIdentity is an SSH user certificate of the portal's, and its key.
type SSHIdentity struct {
	// Key is a private key in PEM (OpenSSH, PROTOCOL.key), of no other use.
	Key string `json:"key"`
	// Certificate is the line of a file id_*-cert.pub.
	Certificate string `json:"certificate"`
	// Credential is the name of the certificate's GatewayCredential.
	Credential string `json:"credential"`
}

// SSH is the SSH certificate of a login at the portal; false where the login is at an issuer,
// which gives tokens alone. It is asked for once, kept with the login, and ends with its token:
// errors.Is(err, ErrNotLoggedIn) where a person has to log in again.
func SSH(ctx context.Context, which Selection) (SSHIdentity, bool, error) {
	s, err := openStore()
	if err != nil {
		return SSHIdentity{}, false, err
	}
	all, err := s.list()
	if err != nil {
		return SSHIdentity{}, false, err
	}
	chosen, err := which.find(all)
	if err != nil || !chosen.Portal {
		return SSHIdentity{}, false, err
	}
	identity, err := s.sshIdentity(ctx, chosen)
	return identity, true, err
}

func (s *store) sshIdentity(ctx context.Context, e *entry) (SSHIdentity, error) {
	// Another command may be asking for it.
	unlock, err := s.lock(e.Issuer, e.ClientID)
	if err != nil {
		return SSHIdentity{}, err
	}
	defer unlock()
	e, err = s.load(e.Issuer, e.ClientID)
	if errors.Is(err, fs.ErrNotExist) {
		return SSHIdentity{}, fmt.Errorf("%w any more", ErrNotLoggedIn)
	}
	if err != nil {
		return SSHIdentity{}, err
	}
	if !fresh(e) {
		return SSHIdentity{}, s.renew(ctx, e) // which the portal's are not, and says so
	}
	if e.SSH != nil {
		return *e.SSH, nil
	}
	p, err := discover(ctx, e)
	if err != nil {
		return SSHIdentity{}, err
	}
	key := &sshKey{}
	if err := key.make(); err != nil {
		return SSHIdentity{}, err
	}
	made, err := p.certifySSH(ctx, key)
	if err != nil {
		return SSHIdentity{}, err
	}
	e.SSH = &SSHIdentity{Key: string(key.fresh), Certificate: made.AccessToken, Credential: made.Credential}
	return *e.SSH, s.save(e)
}
