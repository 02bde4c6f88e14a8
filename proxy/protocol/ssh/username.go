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
	// connection is a Connection, or namespace/connection; empty for the listener's own.
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

// check refuses a name that is none.
func (w wish) check() *access.Refusal {
	if len(w.user)+len(w.connection) > maxUser || strings.ContainsFunc(w.user+w.connection, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &access.Refusal{Reason: access.ReasonProtocol, Message: "the user name is too long, or holds control characters"}
	}
	return nil
}

// unproven is what everybody is told who names another Connection than the listener's and is not
// proven there, whatever the reason.
func (w wish) unproven() *access.Refusal {
	return &access.Refusal{
		Reason:  access.ReasonCredential,
		Message: fmt.Sprintf("there is no connection %q at this address, or it did not take your token or certificate", w.connection),
		Hint:    "Look at the name: <user>+<connection>, or <user>+<namespace>/<connection>. The connection's own address says more.",
	}
}

// as is the user name by which a login name at the target is asked for, in the caller's own words.
func (w wish) as(user, connection string) string {
	if w.connection != "" {
		connection = w.connection
	}
	return user + "+" + connection
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
			Hint:    fmt.Sprintf("Connect as %s.", w.as(name, connection)),
		}
	}
	return name, nil
}
