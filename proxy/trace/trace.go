// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trace makes OpenTelemetry traces of what happens on the road. It is
// the one place that knows OpenTelemetry; what it tells is in
// docs/operations/tracing.md. It is configured by OpenTelemetry's own
// environment variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)
// and off where they name no endpoint.
//
// A trace holds no text of a statement, no value and no credential: what a
// caller did is in the record, which a span names.
package trace

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Options of a Tracer.
type Options struct {
	// Log is told what goes wrong with traces.
	Log logr.Logger
	// Version and Instance are those of the proxy.
	Version, Instance string
	// ClientParents has operations continue the traces that callers name in a
	// comment of their statement: see parentOf.
	ClientParents bool
}

// Tracer makes traces and sends them off. Where they cannot be sent, they are
// dropped: nothing waits for them.
type Tracer struct {
	provider      *sdktrace.TracerProvider
	tracer        trace.Tracer
	clientParents bool
}

// flushTimeout bounds how long Stop waits for what was not sent yet.
const flushTimeout = 5 * time.Second

// Start makes a Tracer as the environment says; nil where it wants none.
func Start(ctx context.Context, options Options) (*Tracer, error) {
	c, err := settings(os.Getenv)
	if err != nil || !c.enabled {
		return nil, err
	}
	var exporter sdktrace.SpanExporter
	if c.protocol == protocolGRPC {
		exporter, err = otlptracegrpc.New(ctx)
	} else {
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot set up traces: %w", err)
	}
	// The environment's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last, so that they win.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		semconv.ServiceName("doorward-proxy"), semconv.ServiceVersion(options.Version), semconv.ServiceInstanceID(options.Instance),
	), resource.WithFromEnv())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set up traces: %w", err), exporter.Shutdown(ctx))
	}
	log := options.Log.WithName("trace")
	otel.SetLogger(log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error(err, "Traces are not sent") }))
	return newTracer(options, sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))), nil
}

func newTracer(options Options, provider *sdktrace.TracerProvider) *Tracer {
	return &Tracer{
		provider: provider, clientParents: options.ClientParents,
		tracer: provider.Tracer("github.com/doorward/doorward/proxy/trace", trace.WithInstrumentationVersion(options.Version)),
	}
}

// Stop sends what was not sent yet, for a bounded time.
func (t *Tracer) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("cannot send the last traces: %w", err)
	}
	return nil
}

// setting is what the environment says, as far as the SDK leaves it to us.
type setting struct {
	enabled  bool
	protocol string
}

// The protocols.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

var samplers = []string{
	"", "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
}

// settings reads the environment. What it cannot mean is refused: traces that
// somebody misspelt would just not come.
func settings(env func(string) string) (setting, error) {
	first := func(names ...string) (name, value string) {
		for _, name = range names {
			if value = strings.TrimSpace(env(name)); value != "" {
				return name, value
			}
		}
		return name, ""
	}
	var c setting
	if _, value := first("OTEL_SDK_DISABLED"); strings.EqualFold(value, "true") {
		return c, nil
	}
	_, endpoint := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	switch name, value := first("OTEL_TRACES_EXPORTER"); value {
	case "otlp":
		c.enabled = true
	case "":
		c.enabled = endpoint != ""
	case "none":
		return c, nil
	default:
		return c, fmt.Errorf("invalid %s: want otlp or none: %q", name, value)
	}
	if !c.enabled {
		return c, nil
	}
	name, value := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	switch value {
	case "", protocolHTTP:
		c.protocol = protocolHTTP
	case protocolGRPC:
		c.protocol = protocolGRPC
	default:
		return c, fmt.Errorf("invalid %s: want %s or %s: %q", name, protocolGRPC, protocolHTTP, value)
	}
	if name, value := first("OTEL_TRACES_SAMPLER"); !slices.Contains(samplers, strings.ToLower(value)) {
		return c, fmt.Errorf("invalid %s: want one of %s: %q", name, strings.Join(samplers[1:], ", "), value)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"} {
		if err := checkHeaders(env(name)); err != nil {
			return c, fmt.Errorf("invalid %s: %w", name, err)
		}
	}
	return c, nil
}

// headerCharacters are those of a header's name (RFC 9110, section 5.6.2).
const headerCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

// checkHeaders refuses headers that the SDK would leave out and write into its
// messages, with the token that they hold.
func checkHeaders(value string) error {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	for i, header := range strings.Split(value, ",") {
		name, text, found := strings.Cut(header, "=")
		_, err := url.PathUnescape(text)
		if name = strings.TrimSpace(name); !found || err != nil || name == "" || strings.Trim(name, headerCharacters) != "" {
			return fmt.Errorf("header %d: want name=value, several divided by commas, with what is special in a value percent-encoded, a space as %%20", i+1)
		}
	}
	return nil
}
