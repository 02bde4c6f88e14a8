// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"fmt"
	"os"
	"os/user"
)

// settleAsUser is for whoever is not root: the one account can only be his own.
func (s *Server) settleAsUser() error {
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("cannot tell who runs sshd: %w", err)
	}
	for _, account := range s.accounts {
		if account.Name != me.Username || account.Password != "" {
			return fmt.Errorf("%w: without, the one account is %q, and has no password", ErrNotRoot, me.Username)
		}
	}
	return os.MkdirAll(s.Home(me.Username), 0o700)
}
