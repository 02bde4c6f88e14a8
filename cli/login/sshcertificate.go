// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"golang.org/x/crypto/ssh"
)

// sshCertificate changes the portal's token for an SSH user certificate (RFC 8693), and
// writes it beside its key, where ssh looks for it. The private key is not read.
func (p *provider) sshCertificate(ctx context.Context, say io.Writer, key *sshKey) error {
	made, err := p.certifySSH(ctx, key)
	if err != nil {
		return err
	}
	if err := key.keep(made.AccessToken); err != nil {
		return err
	}
	kind := "its key in"
	if key.fresh != nil {
		kind = "its fresh key in"
	}
	_, err = fmt.Fprintf(say, "SSH certificate %s is in %s, %s %s. With ssh:\n\n  ssh -i %s -o IdentitiesOnly=yes -p PORT LOGIN+NAMESPACE/CONNECTION@HOST\n\n"+
		"HOST:PORT is the address that \"kubectl doorward ls\" shows; without LOGIN it is the login name that there is.\n\n",
		safe(made.Credential), key.certificateFile(), kind, key.private, key.private)
	return err
}

// certifySSH asks for a certificate that ends with the portal's token.
func (p *provider) certifySSH(ctx context.Context, key *sshKey) (*exchanged, error) {
	made, err := p.exchange(ctx, url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {p.entry.IDToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"requested_token_type": {"urn:doorward:params:oauth:token-type:ssh"},
		"ssh_public_key":       {string(ssh.MarshalAuthorizedKey(key.public))},
	})
	if err != nil {
		return nil, err
	}
	return made, key.check(made.AccessToken)
}
