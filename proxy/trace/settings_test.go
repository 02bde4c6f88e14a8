// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		env    map[string]string
		want   setting
		fails  string
	}{
		"Nothing":  {reason: "off unless asked for"},
		"Endpoint": {reason: "an endpoint asks for them", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, want: setting{true, protocolHTTP}},
		"Traces": {
			reason: "so does one for traces alone, whose protocol wins", want: setting{true, protocolGRPC},
			env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
		},
		"Exporter": {reason: "naming the exporter asks for it at its default place", env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: setting{true, protocolHTTP}},
		"None":     {reason: "other signals may have an endpoint", env: map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "x"}},
		"Disabled": {reason: "the SDK's own switch", env: map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "x"}},
		"Zipkin":   {reason: "an exporter that is not here is refused", env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, fails: "OTEL_TRACES_EXPORTER"},
		"JSON": {
			reason: "a protocol that is not here is refused", fails: "OTEL_EXPORTER_OTLP_PROTOCOL",
			env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
		},
		"Sampler": {
			reason: "a misspelt sampler would take everything", fails: "OTEL_TRACES_SAMPLER",
			env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_TRACES_SAMPLER": "alwayson"},
		},
		"Headers": {
			reason: "headers as they should be", want: setting{true, protocolHTTP},
			env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc=, x-scope=a"},
		},
		"Colon": {
			reason: "checklist 47: the SDK would write a header that it cannot read, with its token, into its messages", fails: "OTEL_EXPORTER_OTLP_HEADERS: header 1",
			env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Bearer canary"},
		},
		"Name": {
			reason: "so it would one whose name is none", fails: "OTEL_EXPORTER_OTLP_TRACES_HEADERS: header 2",
			env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=b,Authorization: Bearer canary="},
		},
		"Percent": {
			reason: "and a value that cannot be decoded", fails: "OTEL_EXPORTER_OTLP_HEADERS: header 1",
			env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary%"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := settings(func(name string) string { return tc.env[name] })
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(setting{})); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

func TestParentOf(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, tc := range map[string]struct {
		reason, statement string
		valid             bool
	}{
		"Plain":     {reason: "as sqlcommenter writes it", statement: "SELECT 1 /*traceparent='" + parent + "'*/", valid: true},
		"Among":     {reason: "other keys stand beside it", statement: "SELECT 1 /*action='a%2Cb',traceparent='" + parent + "',tracestate='x'*/ ;\n", valid: true},
		"None":      {reason: "most statements have none", statement: "SELECT 1"},
		"Inside":    {reason: "only the comment at the end counts", statement: "SELECT /*traceparent='" + parent + "'*/ 1"},
		"Version":   {reason: "another version may mean anything", statement: "SELECT 1 /*traceparent='01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/"},
		"Zero":      {reason: "zeros name no trace", statement: "SELECT 1 /*traceparent='00-00000000000000000000000000000000-b7ad6b7169203331-01'*/"},
		"Upper":     {reason: "hex is lower case", statement: "SELECT 1 /*traceparent='" + strings.ToUpper(parent) + "'*/"},
		"Short":     {reason: "it has one length", statement: "SELECT 1 /*traceparent='00-0af7-b7ad6b7169203331-01'*/"},
		"NotHex":    {reason: "it is hex", statement: "SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c8031zz-b7ad6b7169203331-01'*/"},
		"Unquoted":  {reason: "its value is quoted", statement: "SELECT 1 /*traceparent=" + parent + "*/"},
		"OnlyTheID": {reason: "an end without a beginning is none", statement: "traceparent='" + parent + "'*/"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parentOf(tc.statement); got.IsValid() != tc.valid || tc.valid && got.TraceID().String() != parent[3:35] {
				t.Errorf("%s: %q gives %v", tc.reason, tc.statement, got)
			}
		})
	}
}

// FuzzParentOf shows that nothing a caller writes breaks the reader.
func FuzzParentOf(f *testing.F) {
	f.Add("SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/")
	f.Add("/*traceparent=''*/")
	f.Fuzz(func(t *testing.T, statement string) {
		if got := parentOf(statement); got.IsValid() && !strings.Contains(statement, got.TraceID().String()) {
			t.Errorf("%q gives a trace that it does not name: %v", statement, got)
		}
	})
}
