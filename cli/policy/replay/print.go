// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/cli/audit"
)

// words are the changes in the words of people.
var words = map[string]string{
	NewlyAllowed:    "Newly allowed: was refused, would be let through",
	NoLongerHeld:    "No longer held: waited for an approval, would be let through without",
	NoLongerMasked:  "No longer masked: was masked in answers, would be shown",
	NewlyAdmitted:   "Newly admitted: sessions that were refused, would be let in",
	NewlyDenied:     "Newly denied: was let through or held, would be refused",
	NewlyHeld:       "Newly held: would wait for an approval",
	NewlyMasked:     "Newly masked: fields that answers showed or depended on, would be masked",
	MaskedOrRefused: "Masked or refused for masks: would be masked where the answer shows it plainly, and refused where not",
	NewlyTurnedAway: "Newly turned away: sessions that were let in, would be refused",
	RoleChanged:     "Role changed: sessions that would assume another role at the target",
}

// Print writes a report: as text, json or yaml.
func (r *Report) Print(out io.Writer, format string) error {
	switch format {
	case "json":
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		_, err = out.Write(append(data, '\n'))
		return err
	case "yaml":
		data, err := yaml.Marshal(r)
		if err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	}
	return r.text(out)
}

func (r *Report) text(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	last := ""
	for i := range r.Changes {
		g := &r.Changes[i]
		if g.Change != last {
			if last != "" {
				fmt.Fprintln(table)
			}
			last = g.Change
			fmt.Fprintf(table, "%s\nCOUNT\tCONNECTION\tCALLER\tACCESS\tRULE\tEXAMPLE\n", words[g.Change])
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s%s\n", g.Count, audit.Safe(g.Connection), audit.Safe(g.Caller), audit.Safe(g.Access),
			audit.Safe(g.Rule), audit.Safe(g.Example), accepted(g.Accepted))
	}
	if last != "" {
		fmt.Fprintln(table)
	}
	printGaps(table, "Could not be decided again:", r.Undecided)
	printGaps(table, "Decided again, but not which masks would be new:", r.MasksUnknown)
	printGaps(table, "Refused whatever policies say:", r.Otherwise)
	open, agreed := 0, 0
	for i := range r.Changes {
		if r.Changes[i].Accepted {
			agreed++
		} else {
			open++
		}
	}
	fmt.Fprintf(table, "%d operations and %d sessions, %d operations decided again: %d groups of differences, and %d that are accepted\n",
		r.Operations, r.Sessions, r.Decided, open, agreed)
	return table.Flush()
}

func printGaps(out io.Writer, title string, gaps []Gap) {
	if len(gaps) == 0 {
		return
	}
	fmt.Fprintf(out, "%s\nCOUNT\tCONNECTION\tREASON\tEXAMPLE\n", title)
	for i := range gaps {
		g := &gaps[i]
		fmt.Fprintf(out, "%d\t%s\t%s\t%s%s\n", g.Count, audit.Safe(g.Connection), audit.Safe(g.Reason+": "+g.Detail), audit.Safe(g.Example), accepted(g.Accepted))
	}
	fmt.Fprintln(out)
}

func accepted(is bool) string {
	if is {
		return "  accepted"
	}
	return ""
}
