// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package commandtest

import (
	"slices"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// Evasion is a line that does, or may do, something else than uptime, ls, cat, grep, ps, df, sort and
// systemctl status.
type Evasion struct {
	Line   string
	Reason string
	// Harmless are the shells in which it is, so that they may let it through.
	Harmless []command.Shell
}

// Evasions are all lists of them (checklist 8).
func Evasions() []Evasion {
	return slices.Concat(openly, quoted, expanded, structured, texts, wrapped, privileged, searched, coded, optioned, environments,
		defined, redirected, documents, arithmetics, dialects)
}
