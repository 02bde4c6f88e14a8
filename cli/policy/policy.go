// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy is the plugin's verbs about policies: explaining a decision, testing
// policies before they are merged, and asking what one may do. They read objects from
// files or from a cluster, compile them as the manager does and ask the engine that
// proxies ask: there is no second reading of the language.
package policy

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/policy"
)

// Answers that the command has printed already, and that its exit code tells.
var (
	// ErrDenied says that the operation is refused.
	ErrDenied = errors.New("denied")
	// ErrApprovalRequired says that the operation waits for an approval.
	ErrApprovalRequired = errors.New("an approval is required")
	// ErrTestsFailed says that a test failed, or that a policy is not accepted.
	ErrTestsFailed = errors.New("tests failed")
)

// Statement is what a statement does, as far as it can be told without its target.
type Statement struct {
	Operation policy.Operation
	// Assumed is what was taken to be so, each a sentence without its full stop.
	Assumed []string
}

// Dependencies are the parts of manager and proxy that the verbs use.
type Dependencies struct {
	Protocols compile.Protocols
	Engine    policy.NewEngine
	// CheckModule says what is wrong with a module of Rego, as "line:column: what", and
	// which claims of the caller's token it reads.
	CheckModule func(ctx context.Context, text string) (claims []string, err error)
	// Statements read a text of statements, by the name of the protocol. A protocol
	// without one has no statements that could be read apart from their target.
	Statements map[string]func(text string) ([]Statement, error)
}

// NewCommand returns the command policy.
func NewCommand(streams genericiooptions.IOStreams, deps *Dependencies) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Explain, test and replay policies",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newExplain(streams, deps), newTest(streams, deps), newCanI(streams, deps), replay.NewCommand(streams, loadCandidates(deps), deps.Engine))
	return cmd
}
