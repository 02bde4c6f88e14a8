// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
)

// testOptions are the flags of test.
type testOptions struct {
	namespace, output string
}

func newTest(streams genericiooptions.IOStreams, deps *Dependencies) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Test policies in files",
		Long: `Test policies in files, without a cluster: that each would be accepted, and that each
case of the PolicyTests beside them is decided as it expects. A PolicyTest names callers
and lists cases: a caller, a Connection, an operation, and the effect, rules, masks and
message that must come out.

The files hold everything that decisions are made of: Connections, AccessPolicies,
ClusterAccessPolicies, IdentityProviders, Namespaces with labels that are selected by,
and ConfigMaps with modules of Rego.

The exit code is 0 where all is well, 1 where a case fails or a policy is not accepted,
and 2 where files cannot be read or hold no case.`,
		Example: `  kubectl doorward policy test ./policies

  # For a CI system that reads JUnit's form
  kubectl doorward policy test ./policies -o junit > report.xml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("nothing to test: give files or folders that hold policies and PolicyTests")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, deps, args) },
	}
	cmd.Flags().StringVarP(&o.namespace, "namespace", "n", "", "Namespace of objects that name none; default where unset.")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "Output format. One of: (json, yaml, junit). Text for people where unset.")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "junit"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *testOptions) run(ctx context.Context, streams genericiooptions.IOStreams, deps *Dependencies, paths []string) error {
	write := map[string]func(io.Writer, *testReport) error{
		"": writeReport, "junit": writeJUnit,
		"json": func(out io.Writer, r *testReport) error { return structured(out, "json", r) },
		"yaml": func(out io.Writer, r *testReport) error { return structured(out, "yaml", r) },
	}[o.output]
	if write == nil {
		return fmt.Errorf("output format not known: %q: one of (json, yaml, junit)", o.output)
	}
	all, err := loadFiles(paths, o.namespace)
	if err != nil {
		return err
	}
	notes := all.assumeAuthority()
	report, err := runTests(ctx, all, deps)
	if err != nil {
		return err
	}
	report.Notes = notes
	if err := write(streams.Out, report); err != nil {
		return err
	}
	if report.failed() > 0 || len(report.Refused) > 0 {
		return ErrTestsFailed
	}
	if len(report.Results) == 0 {
		return fmt.Errorf("no case found: the files hold no object of kind %s (%s)", testKind, testVersion)
	}
	return nil
}

// writeReport prints what failed, and a summary.
func writeReport(out io.Writer, r *testReport) error {
	var b strings.Builder
	for i := range r.Refused {
		fmt.Fprintf(&b, "FAIL %s\n", audit.Safe(r.Refused[i].Error()))
	}
	for i := range r.Results {
		t := &r.Results[i]
		if t.Passed {
			continue
		}
		fmt.Fprintf(&b, "FAIL %s:%d: %s\n", t.File, t.Line, audit.Safe(t.Name))
		if t.Error != "" {
			fmt.Fprintf(&b, "  %s\n", audit.Safe(t.Error))
		}
		for _, d := range t.Diff {
			fmt.Fprintf(&b, "  %s:%d: %s\n", t.File, d.Line, d.Field)
			b.WriteString(d.text("    "))
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", audit.Safe(note))
	}
	fmt.Fprintf(&b, "%s, %d failed; %s, %d not accepted\n", count(len(r.Results), "case", "cases"), r.failed(), count(r.Policies, "policy", "policies"), len(r.Refused))
	_, err := io.WriteString(out, b.String())
	return err
}

// text is a difference line by line: what was expected and is not there after a minus,
// what is there unexpectedly after a plus.
func (d *differing) text(indent string) string {
	var b strings.Builder
	line := func(mark, text string) {
		if text == "" {
			text = `""`
		}
		fmt.Fprintf(&b, "%s%s %s\n", indent, mark, audit.Safe(text))
	}
	for _, text := range d.Want {
		if slices.Contains(d.Got, text) {
			line(" ", text)
		} else {
			line("-", text)
		}
	}
	for _, text := range d.Got {
		if !slices.Contains(d.Want, text) {
			line("+", text)
		}
	}
	return b.String()
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
