// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// options is Connection.spec.options of this protocol. Where a word is empty,
// the first of its list in words holds.
type options struct {
	// Databases are the databases of the target that callers may connect to.
	Databases []string `json:"databases"`
	// Authentication is how a client that does not say is asked for its token.
	Authentication string `json:"authentication"`
	// OAuth is what clients are told that ask for a token of their own.
	OAuth oauthOptions `json:"oauth"`
	// ChannelBinding says whether the target must prove, with the stored
	// password, that it ends the TLS connection itself.
	ChannelBinding string `json:"channelBinding"`
	// SSLNegotiation is how TLS with the target begins.
	SSLNegotiation string `json:"sslNegotiation"`
	// TargetSessionAttrs is what a target must be to be taken.
	TargetSessionAttrs string `json:"targetSessionAttrs"`
	// ForeignLogins says whose logins at the target are looked for.
	ForeignLogins foreignLoginsOptions `json:"foreignLogins"`
}

// foreignLoginsOptions say which logins at the target are looked for, of those
// that no proxy made.
type foreignLoginsOptions struct {
	// Roles is whose: of the credential's own role, of all, or none.
	Roles string `json:"roles"`
	// Except are other roles that are not looked for.
	Except []string `json:"except"`
}

// oauthOptions is what the proxy answers a client of OAUTHBEARER that has no
// token yet (RFC 7628, section 3.2.2).
type oauthOptions struct {
	// IdentityProvider is the IdentityProvider whose issuer is named; the first
	// of them by name where empty.
	IdentityProvider string `json:"identityProvider"`
	// Scope is what the client is to ask the issuer for; may be empty.
	Scope string `json:"scope"`
}

// Values of options.
const (
	authenticationPassword = "Password"
	authenticationOAuth    = "OAuth"

	bindingPrefer  = "Prefer"
	bindingRequire = "Require"

	sslPostgres = "Postgres"
	sslDirect   = "Direct"

	rolesOwn  = "Own"
	rolesAll  = "All"
	rolesNone = "None"

	attrsAny           = "Any"
	attrsReadWrite     = "ReadWrite"
	attrsReadOnly      = "ReadOnly"
	attrsPrimary       = "Primary"
	attrsStandby       = "Standby"
	attrsPreferStandby = "PreferStandby"
)

const (
	maxDatabases = 32
	// maxIdentifier is the server's bound on a name, in bytes (NAMEDATALEN - 1).
	maxIdentifier = 63
	// maxExcept bounds foreignLogins.except.
	maxExcept = 32
	// maxScope bounds oauth.scope, in bytes.
	maxScope = 512
)

const optionsHint = `the keys of protocol postgres are "databases", "authentication", "oauth", "channelBinding", "sslNegotiation", "targetSessionAttrs" and "foreignLogins"`

// parseOptions decodes spec.options strictly.
func parseOptions(raw json.RawMessage) (options, error) {
	var o options
	if len(bytes.TrimSpace(raw)) == 0 {
		return o, errors.New(`spec.options: key "databases" is missing: name the databases that may be used, such as {"databases": ["shop"]}`)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return options{}, fmt.Errorf(`spec.options: %w: %s`, err, optionsHint)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return options{}, errors.New("spec.options: want one JSON object and nothing after it")
	}
	if err := o.check(); err != nil {
		return options{}, fmt.Errorf("spec.options: %w", err)
	}
	return o, nil
}

// check refuses what no option may be, and fills in what an empty word means.
func (o *options) check() error {
	if len(o.Databases) == 0 || len(o.Databases) > maxDatabases {
		return fmt.Errorf("databases: want 1 to %d names, got %d", maxDatabases, len(o.Databases))
	}
	for i, name := range o.Databases {
		if name == "" || len(name) > maxIdentifier || bytes.IndexByte([]byte(name), 0) >= 0 {
			return fmt.Errorf("databases: want names of 1 to %d bytes: %q", maxIdentifier, name)
		}
		if slices.Contains(o.Databases[:i], name) {
			return fmt.Errorf("databases: named twice: %q", name)
		}
	}
	for _, word := range []struct {
		key   string
		value *string
		words []string
	}{
		{"authentication", &o.Authentication, []string{authenticationPassword, authenticationOAuth}},
		{"channelBinding", &o.ChannelBinding, []string{bindingPrefer, bindingRequire}},
		{"sslNegotiation", &o.SSLNegotiation, []string{sslPostgres, sslDirect}},
		{"targetSessionAttrs", &o.TargetSessionAttrs, []string{attrsAny, attrsReadWrite, attrsReadOnly, attrsPrimary, attrsStandby, attrsPreferStandby}},
		{"foreignLogins.roles", &o.ForeignLogins.Roles, []string{rolesOwn, rolesAll, rolesNone}},
	} {
		if *word.value == "" {
			*word.value = word.words[0]
		}
		if !slices.Contains(word.words, *word.value) {
			return fmt.Errorf("%s: want one of %s: %q", word.key, strings.Join(word.words, ", "), *word.value)
		}
	}
	if len(o.OAuth.Scope) > maxScope || !isScope(o.OAuth.Scope) {
		return fmt.Errorf("oauth.scope: want names divided by single spaces, at most %d bytes: %q", maxScope, o.OAuth.Scope)
	}
	return o.ForeignLogins.check()
}

func (f foreignLoginsOptions) check() error {
	if len(f.Except) > 0 && f.Roles != rolesAll {
		return fmt.Errorf("foreignLogins.except: only logins of the credential's own role are looked for, from which there is no exception: set foreignLogins.roles to %s, or leave it out: %q", rolesAll, f.Except)
	}
	if len(f.Except) > maxExcept {
		return fmt.Errorf("foreignLogins.except: want at most %d names, got %d", maxExcept, len(f.Except))
	}
	for _, role := range f.Except {
		if role == "" || len(role) > maxIdentifier || strings.ContainsRune(role, 0) {
			return fmt.Errorf("foreignLogins.except: want names of 1 to %d bytes: %q", maxIdentifier, role)
		}
	}
	return nil
}

// isScope says whether a text is a scope (RFC 6749, section 3.3), or empty.
func isScope(scope string) bool {
	if scope == "" {
		return true
	}
	for name := range strings.SplitSeq(scope, " ") {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return false
		}
	}
	return true
}

func (o options) serves(database string) bool { return slices.Contains(o.Databases, database) }
