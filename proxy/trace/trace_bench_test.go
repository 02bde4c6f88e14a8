// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// nowhere takes spans and drops them.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

// BenchmarkOperation is what a trace costs one operation, without the sending.
func BenchmarkOperation(b *testing.B) {
	login := &access.Login{Protocol: "postgres", Client: "192.0.2.7:40000", Accepted: time.Now()}
	operation := access.Observed{
		ID: 1, Effect: policy.Allow, Began: time.Now(), Operation: &record.Operation{Kind: "SELECT"},
		Took: access.Took{
			Parse: time.Microsecond, Decide: time.Microsecond, Record: time.Microsecond, Forward: time.Microsecond, Answer: time.Microsecond,
		},
		Result: &record.Result{Outcome: "Succeeded", Rows: 1},
	}
	for name, sampler := range map[string]sdktrace.Sampler{"sampled": sdktrace.AlwaysSample(), "unsampled": sdktrace.NeverSample()} {
		b.Run(name, func(b *testing.B) {
			provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithBatcher(nowhere{}))
			defer func() { _ = provider.Shutdown(context.WithoutCancel(b.Context())) }()
			w := newTracer(Options{}, provider).Opened(login, "shop-1")
			b.ReportAllocs()
			for b.Loop() {
				if w != nil {
					w.Operation(operation)
				}
			}
		})
	}
}

// TestUnsampledSessionsAreNotWatched: what is not sampled costs its operations
// nothing.
func TestUnsampledSessionsAreNotWatched(t *testing.T) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	defer func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) }()
	if w := newTracer(Options{}, provider).Opened(&access.Login{}, "shop-1"); w != nil {
		t.Error("a session that is not sampled is watched")
	}
	if w := newTracer(Options{ClientParents: true}, provider).Opened(&access.Login{}, "shop-1"); w == nil {
		t.Error("an operation may be sampled by its caller, and is not watched")
	}
}
