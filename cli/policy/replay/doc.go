// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replay decides recorded operations again under other policies, and says what
// would change.
//
// What was is taken from the records alone; what would be is asked of the policies,
// compiled as the manager does and evaluated by the proxies' own engine, for the caller,
// the address and the time that the record has. An operation of which a record does not
// hold all that the policies look at is not decided again, and is counted as such.
package replay

import (
	"context"
	"errors"

	"github.com/doorward/doorward/proxy/policy"
)

// ErrChanged says that the policies would change something that was not accepted, or
// that something could not be decided again; the command has said what.
var ErrChanged = errors.New("the policies would change what was decided")

// ErrNoConnection is wrapped by the error for a Connection that the policies say
// nothing about, as its manifest is not among them.
var ErrNoConnection = errors.New("no manifest of the Connection")

// Policies are candidates, compiled as the manager does.
type Policies interface {
	// Of is what the policies come to on a Connection. The error wraps ErrNoConnection
	// where its manifest is not among them.
	Of(namespace, name string) (Candidate, error)
}

// Candidate is what policies come to on one Connection.
type Candidate struct {
	Set   policy.Set
	About policy.About
}

// Load reads the policies in files and folders. Policies that the manager would not
// accept are an error.
type Load func(ctx context.Context, paths []string) (Policies, error)
