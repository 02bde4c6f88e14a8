// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package login is the plugin's verbs login, logout and token: a person or a job gets a
// token of an OpenID Connect issuer that proxies know, and keeps it on this machine, for
// the verbs that need one and for scripts.
//
// A person logs in by a browser on this machine (RFC 8252 with PKCE, RFC 7636) or by a
// code that is entered on any machine (RFC 8628). A job names a file or a command that
// has a token. What is kept is in the user's configuration folder, for its owner alone.
package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// options are the flags of login.
type options struct {
	genericiooptions.IOStreams
	entry     entry
	device    bool
	noBrowser bool
	port      int
	timeout   time.Duration
	// portal is the URL of the login portal, certificate the folder for a client
	// certificate, sshKey the file of a key that an SSH certificate is for.
	portal, certificate, sshKey string
}

// NewLogin returns the command login.
func NewLogin(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Log in at an identity provider",
		Long: `Get a token of an OpenID Connect issuer that the proxies know, and keep it for the
commands that need one.

A browser on this machine is the usual way. With --device, a code is entered in a
browser on any machine. A job names a file or a command that has a token: it is read
again whenever a token is needed, and nothing of it is kept.

With --portal, you log in at the manager's login portal, which knows the identity
providers and gives a token of its own, good for some hours. With --certificate, it gives
a client certificate besides, for clients that cannot carry a token; with --ssh-key, an
SSH certificate, which is written beside the key: for id_ed25519 and id_ed25519.pub it is
id_ed25519-cert.pub. Where there is no such key, one is made.

Without --issuer, the login that there is is made again. Tokens are kept in the
user's configuration folder, which others must not be able to read.`,
		Example: `  # By a browser
  kubectl doorward login --issuer https://login.example.com --client-id doorward

  # On a machine without one
  kubectl doorward login --issuer https://login.example.com --client-id doorward --device

  # At the login portal
  kubectl doorward login --portal https://login.doorward.example.com

  # There, for a client that knows certificates only
  kubectl doorward login --portal https://login.doorward.example.com --certificate ~/.doorward

  # There, for ssh
  kubectl doorward login --portal https://login.doorward.example.com --ssh-key ~/.ssh/doorward

  # In a pod, by a projected ServiceAccount token
  kubectl doorward login --token-file /var/run/secrets/doorward/token

  # In a job, by whatever prints a token
  kubectl doorward login --token-command 'gcloud auth print-identity-token --audiences=doorward'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.entry.Issuer, "issuer", "", "URL of the issuer, as the IdentityProvider names it.")
	flags.StringVar(&o.entry.ClientID, "client-id", "", "Client to log in with: a public one. Its ID must be an audience of the IdentityProvider.")
	flags.StringVar(&o.entry.ClientSecretFile, "client-secret-file", "", "File with the client's secret, for issuers that want one of a public client too.")
	flags.StringSliceVar(&o.entry.Scopes, "scope", nil, "Scopes to ask for besides openid and offline_access, such as groups or email.")
	flags.StringVar(&o.entry.CAFile, "ca-file", "", "File with the authorities that sign the issuer's certificate, in PEM. Those of this machine where unset.")
	flags.StringVar(&o.entry.TokenFile, "token-file", "", "File that holds a token, and that somebody else renews.")
	flags.StringVar(&o.entry.TokenCommand, "token-command", "", "Command that prints a token, run by a shell whenever one is needed.")
	flags.StringVar(&o.portal, "portal", "", "URL of the manager's login portal.")
	flags.StringVar(&o.entry.Provider, "provider", "", "IdentityProvider to log in at by the portal. It asks where unset.")
	flags.StringVar(&o.certificate, "certificate", "", "Folder to write a client certificate and its key to, as tls.crt and tls.key, which the portal gives besides.")
	flags.StringVar(&o.sshKey, "ssh-key", "", "Key of SSH to write a certificate beside, which the portal gives besides. It is made where there is none.")
	flags.BoolVar(&o.device, "device", false, "Enter a code in a browser on any machine.")
	flags.BoolVar(&o.noBrowser, "no-browser", false, "Start no browser: only print where to go.")
	flags.IntVar(&o.port, "redirect-port", 0, "Port of this machine that the browser comes back to, where the issuer wants a certain one. Any where unset.")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "How long to wait for the person.")
	cmd.MarkFlagsMutuallyExclusive("token-file", "token-command", "device")
	for _, flag := range []string{"issuer", "client-id", "client-secret-file", "scope", "token-file", "token-command"} {
		cmd.MarkFlagsMutuallyExclusive("portal", flag)
	}
	for _, flag := range []string{"client-id", "client-secret-file", "scope", "ca-file"} {
		cmd.MarkFlagsMutuallyExclusive("token-file", flag)
		cmd.MarkFlagsMutuallyExclusive("token-command", flag)
	}
	cmd.MarkFlagsMutuallyExclusive("device", "redirect-port")
	return cmd
}

func (o *options) run(ctx context.Context) error {
	s, err := openStore()
	if err != nil {
		return err
	}
	if err := o.complete(s); err != nil {
		return err
	}
	e := &o.entry
	if (e.Provider != "" || o.certificate != "" || o.sshKey != "") && !e.Portal {
		return errors.New("--provider, --certificate and --ssh-key are for the login portal: give --portal")
	}
	if e.TokenFile != "" || e.TokenCommand != "" {
		_, read, err := e.given(ctx)
		if err != nil {
			return err
		}
		e.Issuer = read.Issuer
		if err := s.locked(e); err != nil {
			return err
		}
		fmt.Fprintf(o.Out, "Logged in at %s as %s, by a token that is renewed elsewhere\n", safe(e.Issuer), read.user())
		return nil
	}
	if e.Provider != "" && o.device {
		return errors.New("--provider is chosen where the code is entered: leave it out with --device")
	}
	if e.ClientID == "" {
		return errors.New("no client: give --client-id, the one that the issuer's admins have made for Doorward")
	}
	if o.port < 0 || o.port > 65535 {
		return fmt.Errorf("invalid --redirect-port: want 1 to 65535: %d", o.port)
	}
	var key *sshKey
	if o.sshKey != "" {
		// Before anybody logs in for nothing.
		if key, err = openSSHKey(o.sshKey); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	p, err := discover(ctx, e)
	if err != nil {
		return err
	}
	if o.device {
		err = p.device(ctx, o.ErrOut)
	} else {
		err = p.browse(ctx, o.ErrOut, o.port, !o.noBrowser)
	}
	if err != nil {
		return err
	}
	read, err := readClaims(e.IDToken)
	if err != nil {
		return err
	}
	if err := s.locked(e); err != nil {
		return err
	}
	if o.certificate != "" {
		if err := p.certificate(ctx, o.Out, o.certificate); err != nil {
			return err
		}
	}
	if key != nil {
		if err := p.sshCertificate(ctx, o.Out, key); err != nil {
			return err
		}
	}
	renewed := "until " + read.until()
	if e.RefreshToken != "" {
		renewed = "and renewed as long as the issuer allows"
	}
	fmt.Fprintf(o.Out, "Logged in at %s as %s, %s\n", safe(e.Issuer), read.user(), renewed)
	return nil
}

// complete takes over the login that is made again, and makes paths good from anywhere.
func (o *options) complete(s *store) error {
	e := &o.entry
	if o.portal != "" {
		e.Issuer, e.ClientID, e.Portal = strings.TrimSuffix(o.portal, "/"), portalClient, true
	}
	if e.Issuer == "" && e.TokenFile == "" && e.TokenCommand == "" {
		all, err := s.list()
		if err != nil {
			return err
		}
		former, err := Selection{ClientID: e.ClientID}.find(all)
		if errors.Is(err, ErrNotLoggedIn) {
			return errors.New("no issuer: give --issuer, the URL of the identity provider, or --token-file or --token-command")
		}
		if err != nil {
			return err
		}
		// Whoever logs in again may be somebody else.
		*e = entry{
			Issuer: former.Issuer, ClientID: former.ClientID, TokenFile: former.TokenFile, TokenCommand: former.TokenCommand,
			ClientSecretFile: cmp.Or(e.ClientSecretFile, former.ClientSecretFile), CAFile: cmp.Or(e.CAFile, former.CAFile),
			Scopes: append(e.Scopes, former.Scopes...),
			Portal: former.Portal, Provider: cmp.Or(e.Provider, former.Provider),
		}
	}
	for _, path := range []*string{&e.ClientSecretFile, &e.CAFile, &e.TokenFile} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("cannot name %q: %w", *path, err)
		}
		*path = absolute
	}
	return nil
}

// locked saves a login when no other command renews it.
func (s *store) locked(e *entry) error {
	unlock, err := s.lock(e.Issuer, e.ClientID)
	if err != nil {
		return err
	}
	defer unlock()
	return s.save(e)
}

// NewToken returns the command token.
func NewToken(streams genericiooptions.IOStreams) *cobra.Command {
	var which Selection
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print a token that is good now",
		Long: `Print the token of a login, renewed where it has less than a minute left. For
scripts; it is a password: keep it out of logs and of process lists.`,
		Example: `  # psql without "kubectl doorward connect"
  PGPASSWORD="$(kubectl doorward token)" psql "host=db.example.com dbname=shop user=me sslmode=verify-full sslrootcert=ca.crt"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := Token(cmd.Context(), which)
			if err != nil {
				return err
			}
			fmt.Fprintln(streams.Out, token)
			return nil
		},
	}
	which.AddFlags(cmd.Flags())
	return cmd
}
