// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command cluster keeps a Kubernetes of one node for development and for trying things out: the
// one that test/cluster runs, or kind's where Docker is. See docs/development/cluster.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

const usage = `usage: cluster COMMAND [--name NAME] [ARGUMENTS]

  up [--provider node|kind] [--logs DIR]
                    start a cluster; kind where Docker and kind are installed, else a node of its own
  down              end it and remove all of it
  list              clusters of this machine
  check             say what this machine lacks to run a node, and fail where that is anything
  env               print the shell's "export KUBECONFIG=..."
  kubectl ARGS...   run kubectl as a cluster admin; put -- before flags that come first
  load ARCHIVE...   give the node the images of archives (OCI layout or docker save)
  images            build PostgreSQL and client images from this machine's programs and load them
  enter COMMAND...  run a command on the node: in its network, with its mounts and processes
  forward TO        listen on a loopback port and relay to what the node reaches: service.namespace.svc:port

The name is "doorward" where none is given.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err == nil {
		return
	}
	stop()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode()) //nolint:gocritic // stop was called
	}
	fmt.Fprintln(os.Stderr, "cluster:", err)
	os.Exit(1)
}

// request is a command line.
type request struct {
	command  string
	name     string
	provider string
	logs     string
	args     []string
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command")
	}
	r := request{command: args[0]}
	set := flag.NewFlagSet(r.command, flag.ContinueOnError)
	set.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	set.StringVar(&r.name, "name", "doorward", "name of the cluster")
	switch r.command {
	case "up":
		set.StringVar(&r.provider, "provider", "", "node or kind")
		set.StringVar(&r.logs, "logs", "", "folder to keep logs in")
	case serveCommand:
		set.StringVar(&r.logs, "logs", "", "folder to keep logs in")
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	if err := set.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	r.args = set.Args()
	switch r.command {
	case "list":
		return list(ctx)
	case serveCommand:
		return serve(ctx, r)
	case "check":
		return check(ctx)
	case "up":
		return up(ctx, r)
	}
	found, err := find(ctx, r.name)
	if err != nil {
		return err
	}
	return found.do(ctx, r)
}
