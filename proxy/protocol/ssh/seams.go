// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
)

// seams are what this package needs of the road for SSH alone. What is not there refuses.
type seams struct {
	// hostKeys are those that the proxy shows to clients, a certificate first.
	hostKeys func(*access.Entry) ([]ssh.Signer, error)
	// publicKey wraps a key or certificate, in wire form, that the caller has proven to hold.
	publicKey func(blob []byte) (identity.Credential, error)
	// signer is what the proxy logs in with at the target; nil where there is none.
	signer func(ctx context.Context, grant *access.Grant, up access.Upstream, login string) (ssh.Signer, error)
	// record puts a part of a recording on record.
	record func(*access.Permit, record.Recording) error
	// result is how what came of an operation is recorded.
	result func(outcome) record.Result
}

var errNoSeam = errors.New("this build of the proxy does not have it")

// extensions are what a session may need of the target. What of it a caller gets is decided here.
var extensions = []string{"permit-pty", "permit-port-forwarding", "permit-agent-forwarding", "permit-X11-forwarding"}

// road are the seams of the road.
var road = seams{
	hostKeys: func(entry *access.Entry) ([]ssh.Signer, error) {
		if e, ok := any(entry).(interface{ HostKeys() ([]ssh.Signer, error) }); ok {
			return e.HostKeys()
		}
		return nil, errNoSeam
	},
	publicKey: func([]byte) (identity.Credential, error) { return identity.Credential{}, errNoSeam },
	signer: func(ctx context.Context, grant *access.Grant, up access.Upstream, _ string) (ssh.Signer, error) {
		if g, ok := any(grant).(interface {
			SSHSigner(ctx context.Context, up access.Upstream, extensions ...string) (ssh.Signer, error)
		}); ok {
			return g.SSHSigner(ctx, up, extensions...)
		}
		return nil, nil //nolint:nilnil // there is none, and the password is left
	},
	record: func(permit *access.Permit, part record.Recording) error {
		if p, ok := any(permit).(interface{ Recording(record.Recording) error }); ok {
			return p.Recording(part)
		}
		return errNoSeam
	},
	result: func(o outcome) record.Result {
		return record.Result{Outcome: o.word, ErrorCode: o.code, Rows: o.names, Bytes: o.toCaller + o.toTarget}
	},
}
