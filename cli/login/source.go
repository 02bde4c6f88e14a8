// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/oauth2"
)

// renewBefore is how long a token must still be good to be given out: what it is given to
// has to start, and to reach a proxy.
const renewBefore = time.Minute

// Token is a token that is good now, renewed where that is needed. It asks nobody for
// anything: errors.Is(err, ErrNotLoggedIn) where a person has to log in (again).
func Token(ctx context.Context, which Selection) (string, error) {
	s, err := openStore()
	if err != nil {
		return "", err
	}
	all, err := s.list()
	if err != nil {
		return "", err
	}
	chosen, err := which.find(all)
	if err != nil {
		return "", err
	}
	return s.token(ctx, chosen)
}

func (s *store) token(ctx context.Context, e *entry) (string, error) {
	if e.TokenFile != "" || e.TokenCommand != "" {
		token, _, err := e.given(ctx)
		return token, err
	}
	if fresh(e) {
		return e.IDToken, nil
	}
	unlock, err := s.lock(e.Issuer, e.ClientID)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another command may have renewed it while this one waited.
	e, err = s.load(e.Issuer, e.ClientID)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w any more", ErrNotLoggedIn)
	}
	if err != nil || fresh(e) {
		return tokenOf(e), err
	}
	if err := s.renew(ctx, e); err != nil {
		return "", err
	}
	return e.IDToken, s.save(e)
}

func tokenOf(e *entry) string {
	if e == nil {
		return ""
	}
	return e.IDToken
}

func fresh(e *entry) bool {
	read, err := readClaims(e.IDToken)
	return err == nil && time.Until(read.expiry()) > renewBefore
}

// renew gets a new token for the refresh token (OpenID Connect Core 1.0, section 12).
func (s *store) renew(ctx context.Context, e *entry) error {
	again := fmt.Sprintf("run \"kubectl doorward login --issuer %s --client-id %s\"", e.Issuer, e.ClientID)
	if e.Portal {
		return fmt.Errorf("%w any more: the token of %s has expired: run \"kubectl doorward login --portal %s\"", ErrNotLoggedIn, e.name(), e.Issuer)
	}
	if e.RefreshToken == "" {
		return fmt.Errorf("%w any more: the token of %s has expired, and the issuer gave none to renew it with: %s", ErrNotLoggedIn, e.name(), again)
	}
	p, err := discover(ctx, e)
	if err != nil {
		return err
	}
	got, err := p.config.TokenSource(p.with(ctx), &oauth2.Token{RefreshToken: e.RefreshToken}).Token()
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.ErrorCode == "invalid_grant" {
		return fmt.Errorf("%w any more: the issuer does not renew the token of %s: %w: %s", ErrNotLoggedIn, e.name(), shown(err), again)
	}
	if err != nil {
		return fmt.Errorf("cannot renew the token of %s: %w", e.name(), shown(err))
	}
	if got.RefreshToken != "" && got.RefreshToken != e.RefreshToken {
		// The issuer takes the former one no more (RFC 6749, section 6), whatever is wrong
		// with the rest of its answer.
		e.RefreshToken = got.RefreshToken
		if err := s.save(e); err != nil {
			return err
		}
	}
	return p.take(ctx, got, "")
}
