// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// caller is who asks, in the words of flags and of tests.
type caller struct {
	User     string   `json:"user"`
	Groups   []string `json:"groups,omitempty"`
	Provider string   `json:"provider,omitempty"`
	// Kind is Human, Workload or Agent; empty is Human.
	Kind   string              `json:"kind,omitempty"`
	Claims map[string][]string `json:"claims,omitempty"`
	// Actors are the subjects of who acts for the user, the present one first.
	Actors []string `json:"actors,omitempty"`
}

// principal is the caller as a proxy would have proven him. The provider may be left out
// where there is but one.
func (c *caller) principal(providers []snapshot.IdentityProvider) (identity.Principal, error) {
	if c.User == "" {
		return identity.Principal{}, fmt.Errorf("no user: a caller has a user name")
	}
	p := identity.Principal{UserName: c.User, Kind: identity.Kind(c.Kind), Groups: slices.Compact(slices.Sorted(slices.Values(c.Groups)))}
	if p.Kind == "" {
		p.Kind = identity.Human
	}
	kinds := []string{string(identity.Human), string(identity.Workload), string(identity.Agent)}
	if !slices.Contains(kinds, string(p.Kind)) {
		return p, fmt.Errorf("no kind of caller is named %q: one of %s", c.Kind, strings.Join(kinds, ", "))
	}
	var err error
	if p.Provider, p.Issuer, err = provider(c.Provider, providers); err != nil {
		return p, err
	}
	for name, values := range c.Claims {
		p.Claims = append(p.Claims, identity.Claim{Name: name, Values: values})
	}
	slices.SortFunc(p.Claims, func(a, b identity.Claim) int { return strings.Compare(a.Name, b.Name) })
	for _, subject := range c.Actors {
		p.Delegation = append(p.Delegation, identity.Actor{Subject: subject})
	}
	return p, nil
}

func provider(name string, all []snapshot.IdentityProvider) (found, issuer string, err error) {
	names := make([]string, 0, len(all))
	for i := range all {
		names = append(names, all[i].Name)
		if all[i].Name == name || name == "" && len(all) == 1 {
			found, issuer = all[i].Name, all[i].IssuerURL()
		}
	}
	switch {
	case found != "":
		return found, issuer, nil
	case len(all) == 0:
		return "", "", fmt.Errorf("nobody can prove who he is: no IdentityProvider was found, or none is accepted")
	case name == "":
		return "", "", fmt.Errorf("no provider given, and there are several: say who proves the caller: one of %s", strings.Join(names, ", "))
	}
	hint := ""
	if near := compile.Nearest(name, names); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return "", "", fmt.Errorf("no accepted IdentityProvider is named %q%s: one of %s", name, hint, strings.Join(names, ", "))
}

// String names the caller to people.
func (c *caller) String() string {
	if len(c.Actors) > 0 {
		return strings.Join(c.Actors, " for ") + " for " + c.User
	}
	return c.User
}

// circumstances are those of a decision; now where no time is given.
func circumstances(at, from string) (policy.Circumstances, error) {
	c := policy.Circumstances{Time: time.Now()}
	if at != "" {
		var err error
		if c.Time, err = time.Parse(time.RFC3339, at); err != nil {
			return c, fmt.Errorf("no time: %q: write it as RFC 3339 has it, such as 2026-01-31T09:00:00+01:00", at)
		}
	}
	if from != "" {
		address, err := netip.ParseAddr(from)
		if err != nil {
			return c, fmt.Errorf("no address: %q: write an IPv4 or IPv6 address", from)
		}
		c.Client = address
	}
	return c, nil
}

// callerFlags are the flags that describe a caller and his circumstances.
type callerFlags struct {
	caller
	claims   []string
	at, from string
	shared   bool
}

func (f *callerFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.User, "as", "", "User name of the caller, after the provider's claim mapping.")
	flags.StringArrayVar(&f.Groups, "group", nil, "Group of the caller; may be repeated.")
	flags.StringVar(&f.Provider, "provider", "", "IdentityProvider that proves the caller; needed where there are several.")
	flags.StringVar(&f.Kind, "kind", "", "What the caller is. One of: (Human, Workload, Agent). Human where unset.")
	flags.StringArrayVar(&f.claims, "claim", nil, "Claim of the caller's token, as name=value; may be repeated.")
	flags.StringArrayVar(&f.Actors, "actor", nil, "Subject of who acts for the user of --as, the present actor first; may be repeated.")
	flags.StringVar(&f.at, "at", "", "When it is decided, as RFC 3339 has it; now where unset.")
	flags.StringVar(&f.from, "from", "", "Address of the caller; not known where unset.")
	flags.BoolVar(&f.shared, "shared-credential", false, "The caller's credential was found to be used from several places.")
}

// complete reads what the flags hold as text.
func (f *callerFlags) complete() error {
	for _, text := range f.claims {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fmt.Errorf("no claim: %q: write name=value", text)
		}
		if f.Claims == nil {
			f.Claims = map[string][]string{}
		}
		f.Claims[name] = append(f.Claims[name], value)
	}
	return nil
}
