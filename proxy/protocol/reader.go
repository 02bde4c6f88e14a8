// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package protocol

import "github.com/doorward/doorward/proxy/policy"

// Reading is what a statement does, as far as its text tells.
type Reading struct {
	Operation policy.Operation
	// Assumed is what was taken to be so, each a sentence without its full stop.
	Assumed []string
}

// StatementReader is a Protocol with statements that can be read, in part, without their
// target: by the plugin, to try policies. A Protocol need not be one. No proxy decides by
// a Reading.
type StatementReader interface {
	// ReadStatements says what each statement of a text does. What cannot be told
	// without the target is an error, or an assumption that the Reading names.
	ReadStatements(text string) ([]Reading, error)
}
