// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// NewAuthority makes the key of an authority that certifies users, and what a server is to
// trust for it; see [Options].TrustedUserCAs.
func NewAuthority() (key ed25519.PrivateKey, trusted ssh.PublicKey, err error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make an authority of users: %w", err)
	}
	if trusted, err = ssh.NewPublicKey(public); err != nil {
		return nil, nil, fmt.Errorf("cannot make an authority of users: %w", err)
	}
	return key, trusted, nil
}
