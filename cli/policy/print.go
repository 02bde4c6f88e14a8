// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	sigsyaml "sigs.k8s.io/yaml"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/policy"
)

var verbs = map[policy.Effect]string{
	policy.Allow: "Allowed", policy.RequireApproval: "Approval required", policy.Deny: "Denied",
}

// write prints an explanation for people.
func (e *explanation) write(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s %s\n", verbs[e.Decision.Effect], audit.Safe(e.Caller.String()), audit.Safe(e.what()), e.Connection)
	if e.Decision.Message != "" {
		fmt.Fprintf(&b, "  message: %s\n", audit.Safe(e.Decision.Message))
	}
	if e.Decision.Cause != "" {
		fmt.Fprintf(&b, "  cause: %s\n", audit.Safe(e.Decision.Cause))
	}
	for _, terms := range e.Decision.Approval {
		names := make([]string, 0, len(terms.Approvers))
		for i := range terms.Approvers {
			names = append(names, describe(&terms.Approvers[i]))
		}
		fmt.Fprintf(&b, "  approval: %d of %s within %d s", terms.Minimum, audit.Safe(strings.Join(names, ", ")), terms.TimeoutSeconds)
		if terms.Scope == policy.ScopeSession {
			fmt.Fprintf(&b, ", asked for in advance, for at most %d s (scope Session)", terms.MaxDurationSeconds)
		}
		b.WriteString("\n")
	}
	e.Decision.rules(&b, "Decided by")
	if e.Audit != nil {
		fmt.Fprintf(&b, "\nIf policies in mode Audit were enforced: %s\n", verbs[e.Audit.Effect])
		if e.Audit.Cause != "" {
			fmt.Fprintf(&b, "  cause: %s\n", audit.Safe(e.Audit.Cause))
		}
		e.Audit.rules(&b, "It would be decided by")
	}
	section(&b, "Policies of this Connection", len(e.Policies), func(i int) []string {
		p := &e.Policies[i]
		does := "does not apply"
		if p.Applies {
			does = "applies"
		}
		return []string{does, p.Kind + " " + p.Policy, p.Source.String(), strings.Join(p.Because, "; ")}
	})
	section(&b, "Not accepted", len(e.Refused), func(i int) []string {
		r := &e.Refused[i]
		return []string{r.Policy, r.Source.String(), r.Reason + ": " + r.Message}
	})
	section(&b, "Masks", len(e.Masks), func(i int) []string {
		m := &e.Masks[i]
		state := "in force"
		if m.Exempt != "" {
			state = "exempt: " + m.Exempt
		}
		return []string{m.Policy + "/" + m.Name, m.What, m.Source.String(), state}
	})
	section(&b, "Limits", len(e.Limits), func(i int) []string {
		return []string{e.Limits[i].Policy, e.Limits[i].What, e.Limits[i].Source.String()}
	})
	if e.TargetRole != "" {
		fmt.Fprintf(&b, "\nRole at the target: %s\n", audit.Safe(e.TargetRole))
	}
	list(&b, "To be allowed, it would have to", e.Changes)
	list(&b, "Notes", e.Notes)
	_, err := io.WriteString(out, b.String())
	return err
}

func (d *explained) rules(b *strings.Builder, title string) {
	if len(d.Rules) == 0 {
		text := "no rule: what no policy allows is refused"
		if d.Access != "" {
			text += ": " + audit.Safe(d.Access)
		}
		fmt.Fprintf(b, "\n%s\n  %s\n", title, text)
		return
	}
	section(b, title, len(d.Rules), func(i int) []string {
		r := &d.Rules[i]
		if r.Rule == "" {
			return []string{r.Kind + " " + r.Policy, r.Source.String()}
		}
		return []string{"rule " + r.Rule, r.Kind + " " + r.Policy, r.Source.String()}
	})
}

// section prints rows under a title, in columns.
func section(b *strings.Builder, title string, count int, row func(int) []string) {
	if count == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i := range count {
		cells := row(i)
		for j := range cells {
			cells[j] = audit.Safe(cells[j])
		}
		fmt.Fprintf(table, "  %s\n", strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	_ = table.Flush() // a Builder does not fail
}

func list(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "  - %s\n", audit.Safe(line))
	}
}

// structured prints a value as JSON or YAML.
func structured(out io.Writer, format string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil && format == "yaml" {
		text, err = sigsyaml.JSONToYAML(text)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.TrimRight(string(text), "\n"))
	return err
}
