// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/doorward/doorward/proxy/access"
)

// Operation implements access.Watcher: it makes the spans of an operation that
// is over, with the times at which its parts were.
func (s *session) Operation(o access.Observed) {
	ctx := s.ctx
	options := []trace.SpanStartOption{
		trace.WithTimestamp(o.Began), trace.WithAttributes(s.common...), trace.WithAttributes(s.target...),
		trace.WithAttributes(keyOperation.Int64(int64(o.ID)), semconv.DBOperationName(o.Operation.Kind)), //nolint:gosec // counts from 1
	}
	if s.clientParents {
		if parent := parentOf(o.Source); parent.IsValid() && parent.IsSampled() { // else the session says whether it is
			ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
			options = append(options, trace.WithLinks(trace.Link{SpanContext: s.span.SpanContext()}))
		}
	}
	ctx, span := s.tracer.Start(ctx, o.Operation.Kind, options...)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(keyEffect.String(string(o.Effect)), keyMasks.Int(o.Masks))
	if o.Approval != nil {
		span.SetAttributes(keyApproval.String(o.Approval.Request), keyOutcome.String(o.Approval.Outcome))
	}
	if o.Reason != "" {
		span.SetAttributes(keyReason.String(string(o.Reason)), semconv.ErrorTypeKey.String(string(o.Reason)))
		span.SetStatus(codes.Error, string(o.Reason))
	}
	at := o.Began
	part := func(name string, took time.Duration, options ...trace.SpanStartOption) {
		if took <= 0 {
			return
		}
		_, child := s.tracer.Start(ctx, name, append(options, trace.WithTimestamp(at))...)
		at = at.Add(took)
		child.End(trace.WithTimestamp(at))
	}
	part("parse", o.Took.Parse)
	part("decide", o.Took.Decide)
	part("hold", o.Took.Hold)
	part("record", o.Took.Record)
	part("forward", o.Took.Forward, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(s.target...))
	answered := at
	part("answer", o.Took.Answer)
	if result := o.Result; result != nil {
		span.SetAttributes(keyResult.String(result.Outcome), semconv.DBResponseReturnedRows(int(result.Rows)), keyBytes.Int64(result.Bytes))
		if result.ErrorCode != "" {
			span.SetAttributes(semconv.DBResponseStatusCode(result.ErrorCode), semconv.ErrorTypeKey.String(result.ErrorCode))
		}
		if result.Outcome == "Failed" {
			span.SetStatus(codes.Error, result.ErrorCode)
		}
		if result.MaskedValues > 0 {
			// Values are masked while they pass: this span lies over the answer.
			at = answered
			part("mask", o.Took.Answer, trace.WithAttributes([]attribute.KeyValue{keyMaskedValues.Int64(result.MaskedValues)}...))
		}
	}
	span.End(trace.WithTimestamp(at))
}
