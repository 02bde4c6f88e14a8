// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

var errNoHostKeys = errors.New("the proxy has none")

// HostKeys are the SSH host keys (RFC 4251 section 4.1) by which clients know the
// Connection's proxies, in the order in which a server offers them: the one that shows the
// certificate of the manager's authority, and the same key without it. They may be renewed
// at any time: ask for each connection. A protocol that says so by protocol.HostKeyUser has
// them; no other may count on it.
func (e *Entry) HostKeys() ([]ssh.Signer, error) {
	if e.gate.config.HostKeys == nil {
		return nil, e.noHostKeys(errNoHostKeys)
	}
	keys, err := e.gate.config.HostKeys()
	if err == nil && len(keys) == 0 {
		err = errNoHostKeys
	}
	if err != nil {
		return nil, e.noHostKeys(err)
	}
	return keys, nil
}

func (e *Entry) noHostKeys(cause error) error {
	return fmt.Errorf("no SSH host key to show: %w: see %s", cause, e.gate.describe())
}
