// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/doorward/doorward/cli/endpoint"
	"github.com/doorward/doorward/cli/login"
)

// The values of --proxy beside an address.
const (
	// ProxyAuto asks proxies where there is a login, and reads policies else.
	ProxyAuto = "auto"
	// ProxyAlways asks proxies, ProxyNever reads policies.
	ProxyAlways = "always"
	ProxyNever  = "never"
)

// ProxyFlags say whether proxies are asked, and how.
type ProxyFlags struct {
	// Proxy is one of the values above, or host:port of the one that is asked.
	Proxy string
	// TokenFile holds the token; that of the login where it is empty. CAFile holds the
	// authorities; those of the trust bundle where it is empty.
	TokenFile, CAFile string
	// Forward is --port-forward.
	Forward string
	Login   login.Selection
}

// Add adds the flags of a command that asks proxies; usage says which values --proxy has.
func (p *ProxyFlags) Add(flags *pflag.FlagSet, usage string) {
	flags.StringVar(&p.Proxy, "proxy", ProxyAuto, usage)
	flags.StringVar(&p.TokenFile, "token-file", "", "File with the token that you would open a session with, for the proxy; - for standard input. That of your login where unset.")
	flags.StringVar(&p.CAFile, "ca-file", "", "File with the authorities that sign the proxy's certificate, in PEM. The ConfigMap "+endpoint.TrustBundle+" of the Connection's namespace where unset.")
	flags.StringVar(&p.Forward, "port-forward", endpoint.Auto, "Reach the proxy through the API server. One of: (auto, always, never).")
	p.Login.AddFlags(flags)
}

// Check refuses what makes no sense together.
func (p *ProxyFlags) Check() error {
	if p.Proxy == ProxyNever && p.TokenFile+p.CAFile+p.Login.Issuer+p.Login.ClientID != "" {
		return errors.New("--token-file, --ca-file, --issuer and --client-id are for the proxy, and --proxy never asks none")
	}
	return endpoint.CheckForward(p.Forward)
}

// Given says whether a flag names the token, so that the proxy is meant.
func (p *ProxyFlags) Given() bool {
	return p.TokenFile+p.Login.Issuer+p.Login.ClientID != ""
}

// Token is the token that proxies are asked with; errors.Is(err, login.ErrNotLoggedIn)
// where there is none.
func (p *ProxyFlags) Token(ctx context.Context, in io.Reader) (string, error) {
	if p.TokenFile != "" {
		return readToken(p.TokenFile, in)
	}
	token, err := login.Token(ctx, p.Login)
	if err != nil {
		return "", fmt.Errorf("no token for the proxy: %w; or give one with --token-file", err)
	}
	return token, nil
}
