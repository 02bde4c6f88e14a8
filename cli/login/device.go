// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/oauth2"
)

const (
	// maxDevice is how long a person has to enter a code.
	maxDevice = 30 * time.Minute
	// maxInterval bounds how seldom an issuer may want to be asked, in seconds.
	maxInterval = 60
)

// device logs in by a browser on any machine, where a code is entered (RFC 8628).
func (p *provider) device(ctx context.Context, say io.Writer) error {
	if p.config.Endpoint.DeviceAuthURL == "" {
		return fmt.Errorf("issuer %q has no device_authorization_endpoint: log in with a browser, without --device", p.entry.Issuer)
	}
	ctx, cancel := context.WithTimeout(ctx, maxDevice)
	defer cancel()
	// An issuer that knows no PKCE here leaves it aside (RFC 6749, section 3.2).
	verifier := oauth2.GenerateVerifier()
	asked, err := p.config.DeviceAuth(p.with(ctx), oauth2.S256ChallengeOption(verifier))
	if err != nil {
		return fmt.Errorf("the issuer gives no code: %w", shown(err))
	}
	if asked.DeviceCode == "" || asked.UserCode == "" {
		return errors.New("the issuer gives no code: its answer holds none")
	}
	if err := secureURL("verification_uri of the issuer", asked.VerificationURI); err != nil {
		return shown(err)
	}
	if asked.Interval < 0 || asked.Interval > maxInterval {
		return fmt.Errorf("the issuer wants to be asked every %d seconds: want at most %d", asked.Interval, maxInterval)
	}
	fmt.Fprintf(say, "Visit %s on any machine and enter the code:\n\n  %s\n\n", safe(asked.VerificationURI), safe(asked.UserCode))
	if secureURL("", asked.VerificationURIComplete) == nil {
		fmt.Fprintf(say, "Or visit %s and compare the code.\n", safe(asked.VerificationURIComplete))
	}
	token, err := p.config.DeviceAccessToken(p.with(ctx), asked, oauth2.VerifierOption(verifier))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("nobody has entered the code: run the command again")
	case err != nil:
		return fmt.Errorf("the issuer gives no token: %w", shown(err))
	}
	return p.take(ctx, token, "")
}
