// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package observability runs the real stack and looks at what it tells of
// itself: metrics, traces, logs, health.
package observability

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

const (
	// startTimeout bounds the start of everything, compilation included.
	startTimeout = 15 * time.Minute
	// awaitTimeout bounds the wait for what must come.
	awaitTimeout = 60 * time.Second
)

// What all tests of the package use.
var (
	suite   *stack.Stack
	spans   *receiver
	binDir  string
	manager struct{ metrics, health, pprof string }
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	defer func() {
		if suite != nil {
			if err := suite.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, "cannot stop the stack:", err)
				code = 1
			}
		}
		if spans != nil {
			spans.server.Close()
		}
	}()
	if err := start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code = m.Run(); code != 0 {
		suite.PrintLogs()
	}
	if err := suite.NoRaces(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func start(ctx context.Context) (err error) {
	if binDir, err = pgtest.BinDir(); err != nil {
		return err
	}
	for _, address := range []*string{&manager.metrics, &manager.health, &manager.pprof} {
		if *address, err = free(ctx); err != nil {
			return err
		}
	}
	spans = newReceiver()
	suite, err = stack.Start(ctx, stack.Options{
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
	return err
}

// free is an address that nobody listens on.
func free(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(proc.Loopback, "0"))
	if err != nil {
		return "", err
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return "", fmt.Errorf("not TCP: %v", listener.Addr())
	}
	return net.JoinHostPort(proc.Loopback, strconv.Itoa(address.Port)), nil
}
