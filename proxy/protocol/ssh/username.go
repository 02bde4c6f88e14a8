// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/proxy/access"
)

// wish is what the user name of a login says: user+connection, of which either may be missing.
type wish struct {
	// user is the login name at the target that the caller asks for; empty for the one
	// that policies, or the credential, give him.
	user string
	// connection is a Connection, or namespace/connection; empty for the one that is served.
	connection string
}

// maxUser bounds a user name, in bytes.
const maxUser = 512

// parseUser reads a user name. The last + divides, since names of Connections have none.
func parseUser(name string) wish {
	i := strings.LastIndexByte(name, '+')
	if i < 0 {
		return wish{user: name}
	}
	return wish{user: name[:i], connection: name[i+1:]}
}

// check refuses a login to a Connection that is not served here. What others there are, is
// not told to those who are not proven.
func (w wish) check(namespace, name string) *access.Refusal {
	if len(w.user)+len(w.connection) > maxUser || strings.ContainsFunc(w.user+w.connection, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &access.Refusal{Reason: access.ReasonProtocol, Message: "the user name is too long, or holds control characters"}
	}
	if w.connection == "" || w.connection == name || w.connection == namespace+"/"+name {
		return nil
	}
	return &access.Refusal{
		Reason:  access.ReasonProtocol,
		Message: fmt.Sprintf("this address serves connection %q, not %q", name, w.connection),
		Hint:    fmt.Sprintf("Connect as <user>+%s, or to the address of the other connection.", name),
	}
}

// login is the login name at the target: the one that policies give, else the credential's.
// A caller who asks for another is told, and not let in as somebody he did not mean.
func (w wish) login(role, credential, connection string) (string, *access.Refusal) {
	name, by := role, "policies give you"
	if name == "" {
		name, by = credential, "the credential of the connection has"
	}
	if name == "" {
		return "", &access.Refusal{
			Reason:  access.ReasonTargetRole,
			Message: "neither a policy nor the credential says which login name you have at the target",
			Hint:    "Ask an admin for spec.targetRole in the AccessPolicy that names you, or for a username in the credential.",
		}
	}
	if w.user != "" && w.user != name {
		return "", &access.Refusal{
			Reason:  access.ReasonTargetRole,
			Message: fmt.Sprintf("you asked for the login name %q at the target, and %s %q", w.user, by, name),
			Hint:    fmt.Sprintf("Connect as %s+%s.", name, connection),
		}
	}
	return name, nil
}
