// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command playground runs all of Doorward on this machine: a control plane, the
// manager, an OIDC issuer for development, a real PostgreSQL with a small shop
// in it, and a proxy. See docs/playground.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/test/testenv"
)

const usage = `usage: playground COMMAND

  up                       start everything and leave it running until Ctrl-C
  demo                     tell the story on a playground of its own; DEMO_PAUSE=1 waits at each step
  token USER [--groups A,B] [--audience doorward|kubernetes|login] [--lifetime 1h]
                           print a token of the development issuer
  browser USER [--groups A,B] --visit URL
                           be that user at a browser, and log in where "kubectl doorward login" says
  proxy CONNECTION         start the proxy of a further Connection with placement External
  records [--session ID] [--last N]
                           print records of the log sink as lines
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetLogger(logr.Discard())
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "playground:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command")
	}
	// The folder may be named, so that commands work from anywhere.
	dir := os.Getenv("PLAYGROUND")
	if dir == "" {
		dir = filepath.Join(testenv.Root(), ".playground")
	}
	switch command, rest := args[0], args[1:]; command {
	case "up":
		return up(ctx, dir)
	case "demo":
		return demo(ctx, dir)
	case "token":
		return printToken(dir, rest)
	case "browser":
		return browse(ctx, dir, rest)
	case "proxy":
		return runProxy(ctx, dir, rest)
	case "records":
		return printRecords(dir, rest)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", command)
	}
}

// parse reads flags before and after the one positional argument.
func parse(set *flag.FlagSet, args []string) (string, error) {
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if err := set.Parse(args); err != nil {
		return "", err
	}
	if set.NArg() > 0 {
		return "", fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return name, nil
}
