// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// ErrNotLoggedIn says that there is no login, or none that is good any more.
var ErrNotLoggedIn = errors.New("not logged in")

// Selection names one of several logins. The zero value is the only one there is.
type Selection struct{ Issuer, ClientID string }

// AddFlags adds the flags of a command that needs a login.
func (s *Selection) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.Issuer, "issuer", "", "URL of the issuer, where you are logged in at several.")
	flags.StringVar(&s.ClientID, "client-id", "", "Client of that issuer, where you are logged in with several.")
}

// find is the login that is meant.
func (s Selection) find(all []*entry) (*entry, error) {
	var found []*entry
	for _, e := range all {
		if (s.Issuer == "" || sameIssuer(e.Issuer, s.Issuer)) && (s.ClientID == "" || e.ClientID == s.ClientID) {
			found = append(found, e)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && s.Issuer != "":
		return nil, fmt.Errorf("%w at %q: run \"kubectl doorward login --issuer %s --client-id ID\"", ErrNotLoggedIn, s.Issuer, s.Issuer)
	case len(found) == 0 && s.ClientID != "":
		return nil, fmt.Errorf("%w with client %q: run \"kubectl doorward login --issuer URL --client-id %s\"", ErrNotLoggedIn, s.ClientID, s.ClientID)
	case len(found) == 0:
		return nil, fmt.Errorf("%w: run \"kubectl doorward login --portal URL\", or \"kubectl doorward login --issuer URL --client-id ID\"", ErrNotLoggedIn)
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = e.name()
	}
	return nil, fmt.Errorf("you are logged in %d times: say which is meant with --issuer and --client-id: %s", len(found), strings.Join(names, ", "))
}

// sameIssuer lets people leave out the slash at the end, which is part of some issuers' names.
func sameIssuer(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}
