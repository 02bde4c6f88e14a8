// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"context"
	"net"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Our own attributes. With session and operation a span is found in the record,
// and a record in the traces.
const (
	keySession      = attribute.Key("doorward.session.id")
	keyOperation    = attribute.Key("doorward.operation.id")
	keyConnection   = attribute.Key("doorward.connection")
	keyEnd          = attribute.Key("doorward.session.end")
	keyEffect       = attribute.Key("doorward.effect")
	keyReason       = attribute.Key("doorward.reason")
	keyApproval     = attribute.Key("doorward.approval.request")
	keyOutcome      = attribute.Key("doorward.approval.outcome")
	keyMasks        = attribute.Key("doorward.masks")
	keyMaskedValues = attribute.Key("doorward.masked_values")
	keyBytes        = attribute.Key("doorward.returned_bytes")
	keyResult       = attribute.Key("doorward.outcome")
)

// systems are the names that the semantic conventions have for protocols.
var systems = map[string]string{"postgres": "postgresql"}

func system(protocol string) attribute.KeyValue {
	if name, known := systems[protocol]; known {
		protocol = name
	}
	return semconv.DBSystemNameKey.String(protocol)
}

var (
	_ access.Observer = (*Tracer)(nil)
	_ access.Watcher  = (*session)(nil)
)

// Refused implements access.Observer.
func (t *Tracer) Refused(login *access.Login, reason access.Reason) {
	ctx, span := t.begin(login)
	if span.IsRecording() {
		t.steps(ctx, login)
		span.SetAttributes(keyReason.String(string(reason)))
		span.SetStatus(codes.Error, string(reason))
	}
	span.End()
}

// Opened implements access.Observer.
func (t *Tracer) Opened(login *access.Login, name string) access.Watcher {
	ctx, span := t.begin(login)
	if !span.IsRecording() && !t.clientParents {
		return nil
	}
	id := keySession.String(name)
	span.SetAttributes(id)
	t.steps(ctx, login)
	s := &session{Tracer: t, ctx: ctx, span: span}
	s.common = append(s.common, id, keyConnection.String(connectionOf(login)), system(login.Protocol))
	return s
}

// begin begins the span of a session at the instant at which its client came.
func (t *Tracer) begin(login *access.Login) (context.Context, trace.Span) {
	attributes := []attribute.KeyValue{keyConnection.String(connectionOf(login))}
	if login.Protocol != "" {
		attributes = append(attributes, system(login.Protocol))
	}
	if host, port, err := net.SplitHostPort(login.Client); err == nil {
		attributes = append(attributes, semconv.ClientAddress(host))
		if n, err := strconv.Atoi(port); err == nil {
			attributes = append(attributes, semconv.ClientPort(n))
		}
	}
	return t.tracer.Start(context.Background(), "session", trace.WithTimestamp(login.Accepted), //nolint:wrapcheck // no error
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
}

func connectionOf(login *access.Login) string {
	return login.Connection.Namespace + "/" + login.Connection.Name
}

// steps makes a span of each step of a login.
func (t *Tracer) steps(ctx context.Context, login *access.Login) {
	for _, step := range login.Steps {
		_, span := t.tracer.Start(ctx, step.Name, trace.WithTimestamp(step.Began))
		if step.Reason != "" {
			span.SetAttributes(keyReason.String(string(step.Reason)))
			span.SetStatus(codes.Error, string(step.Reason))
		}
		span.End(trace.WithTimestamp(step.Began.Add(step.Took)))
	}
}

// session watches one session.
type session struct {
	*Tracer
	ctx  context.Context //nolint:containedctx // carries the session's span to its children
	span trace.Span
	// common are the attributes of its operations; Dialed adds the target.
	common []attribute.KeyValue
	target []attribute.KeyValue
}

// Dialed implements access.Watcher. It is called before the first operation.
func (s *session) Dialed(target snapshot.Target, began time.Time, took time.Duration, err error) {
	s.target = []attribute.KeyValue{semconv.ServerAddress(target.Host), semconv.ServerPort(int(target.Port))}
	_, span := s.tracer.Start(s.ctx, "dial", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(s.target...))
	if err != nil {
		// What the error says may name the inside of the network; the proxy's log has it.
		reason := string(access.AsRefusal(err).Reason)
		span.SetAttributes(keyReason.String(reason))
		span.SetStatus(codes.Error, reason)
	}
	span.End(trace.WithTimestamp(began.Add(took)))
}

// Closed implements access.Watcher.
func (s *session) Closed(reason access.EndReason, _ time.Duration) {
	s.span.SetAttributes(keyEnd.String(string(reason)))
	if reason != access.EndClosed && reason != access.EndDraining {
		s.span.SetStatus(codes.Error, string(reason))
	}
	s.span.End()
}
