// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/proxy/record"
)

// because is why, in the record's own words.
func because(d *record.Document) string {
	switch {
	case d.Reason != "":
		return ": " + d.Reason
	case d.ReasonCode != "":
		return ": " + string(d.ReasonCode)
	}
	return ""
}

func attributes(d *record.Document) string {
	all := make([]string, len(d.Attributes))
	for i, a := range d.Attributes {
		all[i] = a.Name + "=" + a.Value
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// approvals are those that an operation, or at its end the session, rests on.
func approvals(d *record.Document) string {
	if text := audit.Approvals(d.Approval); text != "" {
		return ", " + text
	}
	return ""
}

// verdict says what was decided, by which rules, and why.
func verdict(d *record.Document) string {
	if d.Type == record.OperationHeld {
		text := "waits for an approval"
		if d.Approval != nil && d.Approval.Request != "" {
			text += ", request " + d.Approval.Request
		}
		return text + because(d)
	}
	if d.Decision == nil {
		return "refused" + because(d)
	}
	text := first(d.Decision.Effect)
	rules := make([]string, len(d.Decision.Rules))
	for i, r := range d.Decision.Rules {
		rules[i] = r.Policy + "/" + r.Rule
	}
	if len(rules) > 0 {
		text += " by " + strings.Join(rules, ", ")
	}
	text += approvals(d)
	if len(d.Decision.Masks) > 0 {
		text += ", masked by " + strings.Join(d.Decision.Masks, ", ")
	}
	for _, why := range []string{d.Decision.Message, d.Decision.Cause} {
		if why != "" {
			text += ": " + why
		}
	}
	return text + because(d)
}

// bar stands before each line of a statement.
const bar = "    | "

// statement is the operation itself, below the line that says what was decided.
func statement(d *record.Document) string {
	o := d.Operation
	if o == nil {
		return ""
	}
	var b strings.Builder
	// A line of the statement's own cannot pass for one of the transcript's.
	if text := strings.TrimSpace(o.Statement); text != "" {
		b.WriteString(show.Lines(text, bar))
	}
	if o.Truncated > 0 {
		fmt.Fprintf(&b, "    ... and %d bytes more, digest %s\n", o.Truncated, line(o.Digest))
	}
	if o.ParameterText != "" {
		fmt.Fprintf(&b, "    parameters: %s\n", line(o.ParameterText))
	}
	accesses := make([]string, 0, len(o.Accesses))
	for _, a := range o.Accesses {
		text := strings.TrimSpace(a.Action + " " + a.Resource)
		if a.Indirect {
			text += " (indirectly)"
		}
		accesses = append(accesses, text)
	}
	if len(accesses) > 0 {
		fmt.Fprintf(&b, "    accesses: %s\n", line(strings.Join(accesses, ", ")))
	}
	return b.String()
}

// result is what came of an operation.
func result(d *record.Document) string {
	r := d.Result
	if r == nil {
		return "result not on record" + because(d)
	}
	text := fmt.Sprintf("%s: %d rows, %d bytes", strings.ToLower(first(r.Outcome)), r.Rows, r.Bytes)
	if r.DurationNanoseconds > 0 {
		text += ", " + time.Duration(r.DurationNanoseconds).Round(time.Microsecond).String()
	}
	if r.ErrorCode != "" {
		text += ", error " + r.ErrorCode
	}
	if exit := audit.Exit(r.Exit); exit != "" {
		text += ", " + exit
	}
	if r.MaskedValues > 0 {
		text += fmt.Sprintf(", %d values masked (%s)", r.MaskedValues, strings.Join(r.MaskedFields, ", "))
	}
	return text + because(d)
}

// transfers are the contents that went through, one to a line, below the result.
func transfers(d *record.Document) string {
	var b strings.Builder
	for _, text := range audit.Transfers(d.Result) {
		fmt.Fprintf(&b, "    %s\n", line(text))
	}
	return b.String()
}
