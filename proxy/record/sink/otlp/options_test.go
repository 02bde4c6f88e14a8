// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/otlp"
)

func TestNewRefuses(t *testing.T) {
	good := otlp.Options{Endpoint: "https://collector:4317", Protocol: otlp.GRPC}
	for name, change := range map[string]func(*otlp.Options){
		"NoProtocol":      func(o *otlp.Options) { o.Protocol = "" },
		"NoEndpoint":      func(o *otlp.Options) { o.Endpoint = "" },
		"NoScheme":        func(o *otlp.Options) { o.Endpoint = "collector:4317" },
		"OtherScheme":     func(o *otlp.Options) { o.Endpoint = "ftp://collector" },
		"NotEncrypted":    func(o *otlp.Options) { o.Endpoint = "http://collector:4317" },
		"TLSDisabled":     func(o *otlp.Options) { o.TLS.Disabled = true },
		"User":            func(o *otlp.Options) { o.Endpoint = "https://" + canary + ":x@collector" },
		"Query":           func(o *otlp.Options) { o.Endpoint = "https://collector?token=" + canary },
		"PathOfGRPC":      func(o *otlp.Options) { o.Endpoint = "https://collector:4317/v1/logs" },
		"Compression":     func(o *otlp.Options) { o.Compression = "zstd" },
		"HeaderName":      func(o *otlp.Options) { o.Headers = map[string]string{"a b": canary} },
		"HeaderReserved":  func(o *otlp.Options) { o.Headers = map[string]string{"Content-Type": canary} },
		"HeaderOfGRPC":    func(o *otlp.Options) { o.Headers = map[string]string{"grpc-timeout": canary} },
		"HeaderBinary":    func(o *otlp.Options) { o.Headers = map[string]string{"x-bin": canary} },
		"HeaderTwice":     func(o *otlp.Options) { o.Headers = map[string]string{"X-A": canary, "x-a": canary} },
		"HeaderLineFeeds": func(o *otlp.Options) { o.Headers = map[string]string{"x-a": canary + "\r\nx-b: c"} },
		"CA":              func(o *otlp.Options) { o.TLS.CA = canary },
		"Certificate":     func(o *otlp.Options) { o.TLS.Key = []byte(canary) },
	} {
		t.Run(name, func(t *testing.T) {
			options := good
			change(&options)
			s, err := otlp.New(options)
			if err == nil {
				_ = s.Close()
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(fmt.Sprintf("%v %+v %#v", options, options, options), canary) {
				t.Errorf("New: %v: the error or the options show a secret", err)
			}
		})
	}
	for name, options := range map[string]otlp.Options{
		"GRPC":     good,
		"HTTP":     {Endpoint: "https://collector", Protocol: otlp.HTTP},
		"HTTPPath": {Endpoint: "https://collector:4318/otlp/logs", Protocol: otlp.HTTP, Compression: sink.Gzip},
	} {
		s, err := otlp.New(options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = s.Close()
	}
}
