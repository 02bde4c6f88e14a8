// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package observability runs the real stack and looks at what it tells of
// itself: metrics, traces, logs, health.
package observability

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// What all tests of the package use: the stack, the collector of its spans, and
// where the manager serves what.
var (
	suite   *stack.Stack
	spans   *receiver
	manager struct{ metrics, health, pprof string }
)

// await is short for what every test does.
var await = stacktest.Await

func TestMain(m *testing.M) {
	for _, address := range []*string{&manager.metrics, &manager.health, &manager.pprof} {
		var err error
		if *address, err = proc.FreeAddress(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	spans = newReceiver()
	code := stacktest.Run(m, &suite, stack.Options{
		Race: true, Pprof: true,
		ManagerArgs: []string{
			"--metrics-address=" + manager.metrics, "--health-address=" + manager.health, "--pprof-address=" + manager.pprof, "--leader-elect=true", "-v=1",
		},
		ProxyArgs: []string{"--trace-client-parents", "-v=1"},
		ProxyEnv: []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + spans.server.URL, "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer " + headerCanary,
			"OTEL_BSP_SCHEDULE_DELAY=200",
		},
	})
	spans.server.Close()
	os.Exit(code)
}
