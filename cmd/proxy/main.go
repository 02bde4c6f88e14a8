// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command proxy stands on the data path: it serves Connections, each with its
// own listener, by the snapshots the manager publishes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/doorward/doorward/cmd/version"
)

func main() { os.Exit(run()) }

func run() int {
	options, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case err != nil:
		fmt.Fprintln(os.Stderr, "proxy:", err)
		return 2
	case options.version:
		fmt.Println(version.String())
		return 0
	}
	// Standard output may be a LogSink; what the proxy says of itself goes to
	// standard error.
	log := options.logging.Logger(os.Stderr)
	if err := options.logging.Route(log); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		return 1
	}
	tuneMemory()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx, options, log); err != nil {
		log.Error(err, "Proxy ended")
		return 1
	}
	return 0
}
