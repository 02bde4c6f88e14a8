// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doctor is the plugin's verb doctor: it looks at an installation from outside, as
// whoever runs it may, and says what is wrong and how to mend it.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
)

// ErrFailed says that something does not work or is not safe, which the command has said.
var ErrFailed = errors.New("something is wrong")

// Status is how a check went.
type Status string

// The statuses, from good to bad.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Finding is one line of the report.
type Finding struct {
	// Check is the group, such as Admission.
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Message says what was found, and Remedy how to mend it; empty where nothing is wrong.
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// Report is what -o json prints.
type Report struct {
	// Status is the worst of the findings.
	Status   Status    `json:"status"`
	Findings []Finding `json:"findings"`
}

// check looks at one thing.
type check struct {
	name string
	look func(ctx context.Context, e *examiner)
}

// checks are all, in the order in which one builds on the other.
var checks = []check{
	{"APIServer", lookAtServer},
	{"Definitions", lookAtDefinitions},
	{"Admission", lookAtAdmission},
	{"Manager", lookAtManager},
	{"Rights", lookAtRights},
	{"IdentityProviders", lookAtProviders},
	{"LogSinks", lookAtSinks},
	{"Notifiers", lookAtNotifiers},
	{"Policies", lookAtPolicies},
	{"Connections", lookAtConnections},
	{"Isolation", lookAtIsolation},
}

type options struct {
	genericiooptions.IOStreams
	cluster   *cluster.Flags
	namespace string
	output    string
}

// NewCommand returns the command doctor.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is wrong with an installation",
		Long: `Look at an installation and say what is wrong with it, each with how to mend it:
definitions, admission policies, the manager and its rights, who else holds rights that
undo what Doorward promises, identity providers, sinks, policies, Connections with their
proxies, clocks, and ways round the proxies.

It looks with your rights, and changes nothing. What you may not look at is a warning.
The exit code is 1 where a check fails.`,
		Example: `  # All that can be looked at
  kubectl doorward doctor

  # For a monitoring job
  kubectl doorward doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.namespace, "operator-namespace", "doorward-system", "Namespace of the manager.")
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "Output format. One of: (text, json).")
	o.cluster.Add(cmd)
	return cmd
}

func (o *options) run(ctx context.Context) error {
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("output format not known: %q: one of (text, json)", o.output)
	}
	e, err := newExaminer(o.cluster.ConfigFlags, o.namespace)
	if err != nil {
		return err
	}
	report := Report{Status: OK, Findings: []Finding{}}
	for _, c := range checks {
		e.check, e.found = c.name, nil
		c.look(ctx, e)
		if err := ctx.Err(); err != nil {
			return err
		}
		report.Findings = append(report.Findings, e.found...)
		if e.lost {
			break
		}
	}
	for _, f := range report.Findings {
		if f.Status == Fail || f.Status == Warn && report.Status == OK {
			report.Status = f.Status
		}
	}
	if err := o.print(o.Out, &report); err != nil {
		return err
	}
	if report.Status == Fail {
		return ErrFailed
	}
	return nil
}

func (o *options) print(out io.Writer, report *Report) error {
	if o.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	counts := map[Status]int{}
	for _, f := range report.Findings {
		counts[f.Status]++
		fmt.Fprintf(out, "%-5s %-18s %s\n", f.Status, f.Check, audit.Safe(f.Message))
		if f.Remedy != "" {
			fmt.Fprintf(out, "      %-18s do: %s\n", "", audit.Safe(f.Remedy))
		}
	}
	fmt.Fprintf(out, "%d ok, %d to look at, %d failed\n", counts[OK], counts[Warn], counts[Fail])
	return nil
}
