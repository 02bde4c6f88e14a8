// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usage prints how a command is used: its own flags first, then those that every command
// has that asks a cluster. The namespace is about what is asked, so it is one of the first.
func usage(cmd *cobra.Command, kubectl *pflag.FlagSet) error {
	own, shared := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if kubectl.Lookup(flag.Name) != nil && flag.Name != "namespace" {
			shared.AddFlag(flag)
		} else {
			own.AddFlag(flag)
		}
	})
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "\nAliases:\n  %s\n", cmd.NameAndAliases())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	fmt.Fprintf(&b, "\nFlags:\n%s", own.FlagUsages())
	fmt.Fprintf(&b, "\nFlags of the cluster, as kubectl has them:\n%s", shared.FlagUsages())
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}
