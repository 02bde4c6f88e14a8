// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// parentOf is the span that a statement says it is part of: the key traceparent
// of the comment in the form of sqlcommenter
// (https://google.github.io/sqlcommenter/spec/) with which it ends,
//
//	SELECT 1 /*traceparent='00-<32 hex digits>-<16 hex digits>-<2 hex digits>'*/
//
// in version 00 of W3C Trace Context, section 3.2. Anything else is no parent.
func parentOf(statement string) (none trace.SpanContext) {
	comment := strings.TrimRight(statement, " \t\r\n;")
	comment, ended := strings.CutSuffix(comment, "*/")
	begin := strings.LastIndex(comment, "/*")
	if !ended || begin < 0 {
		return none
	}
	for pair := range strings.SplitSeq(comment[begin+2:], ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if key != "traceparent" || len(value) != len(parentForm)+2 || value[0] != '\'' || value[len(value)-1] != '\'' {
			continue
		}
		return traceParent(value[1 : len(value)-1])
	}
	return none
}

// parentForm is what a traceparent looks like.
const parentForm = "00-00000000000000000000000000000000-0000000000000000-00"

// traceParent reads a traceparent, which has the length of parentForm.
func traceParent(text string) (none trace.SpanContext) {
	if text[:3] != "00-" || text[35] != '-' || text[52] != '-' || strings.ToLower(text) != text {
		return none
	}
	var config trace.SpanContextConfig
	var flags [1]byte
	for _, part := range []struct {
		into []byte
		text string
	}{{config.TraceID[:], text[3:35]}, {config.SpanID[:], text[36:52]}, {flags[:], text[53:]}} {
		if _, err := hex.Decode(part.into, []byte(part.text)); err != nil {
			return none
		}
	}
	config.TraceFlags, config.Remote = trace.TraceFlags(flags[0])&trace.FlagsSampled, true
	// All zeros name no span: IsValid says so.
	return trace.NewSpanContext(config)
}
