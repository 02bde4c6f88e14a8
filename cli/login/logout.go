// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// NewLogout returns the command logout.
func NewLogout(streams genericiooptions.IOStreams) *cobra.Command {
	var which Selection
	var everything bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forget a login",
		Long: `Forget a login: its tokens are removed from this machine, and the issuer is told to
take the refresh token no more, where it has an endpoint for that (RFC 7009).

An ID token that was given out stays good until it expires: an issuer cannot take it
back. Sessions that are open go on until then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore()
			if err != nil {
				return err
			}
			chosen, err := s.list()
			if err != nil {
				return err
			}
			if !everything {
				one, err := which.find(chosen)
				if err != nil {
					return err
				}
				chosen = []*entry{one}
			}
			for _, e := range chosen {
				if err := s.forget(cmd.Context(), streams, e); err != nil {
					return err
				}
			}
			return nil
		},
	}
	which.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&everything, "all", false, "Forget all logins.")
	cmd.MarkFlagsMutuallyExclusive("all", "issuer")
	cmd.MarkFlagsMutuallyExclusive("all", "client-id")
	return cmd
}

// forget removes a login first: that must not hang on the issuer.
func (s *store) forget(ctx context.Context, streams genericiooptions.IOStreams, e *entry) error {
	unlock, err := s.lock(e.Issuer, e.ClientID)
	if err != nil {
		return err
	}
	defer unlock()
	// The refresh token may have been changed for another one meanwhile.
	if now, err := s.load(e.Issuer, e.ClientID); err == nil {
		e = now
	}
	if err := s.remove(e); err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "Logged out of %s\n", safe(e.name()))
	if e.Credential != "" && fresh(e) {
		fmt.Fprintf(streams.Out, "Its token is good until it expires, wherever it was copied to: to end it now, run \"kubectl doorward credentials revoke %s --reason TEXT\"\n", safe(e.Credential))
	}
	if e.RefreshToken == "" {
		return nil
	}
	if err := revoke(ctx, e); err != nil {
		fmt.Fprintf(streams.ErrOut, "warning: the refresh token is gone from this machine, but the issuer was not told: %v: end the session at the issuer\n", err)
	}
	return nil
}

// revoke tells the issuer that a refresh token is no longer needed (RFC 7009).
func revoke(ctx context.Context, e *entry) error {
	p, err := discover(ctx, e)
	if err != nil {
		return err
	}
	if p.revocation == "" {
		return errors.New("it has no revocation_endpoint")
	}
	form := url.Values{"token": {e.RefreshToken}, "token_type_hint": {"refresh_token"}, "client_id": {e.ClientID}}
	if p.config.ClientSecret != "" && p.config.Endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_secret", p.config.ClientSecret)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.config.ClientSecret != "" && p.config.Endpoint.AuthStyle == oauth2.AuthStyleInHeader {
		request.SetBasicAuth(url.QueryEscape(e.ClientID), url.QueryEscape(p.config.ClientSecret))
	}
	response, err := p.client.Do(request)
	if err != nil {
		return shown(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	return nil
}
