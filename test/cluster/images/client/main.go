// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command client is the entrypoint of the image with psql. It sets variables and becomes a
// command; without a command it waits to be told to end, for `kubectl exec`.
//
//	client [NAME=VALUE | NAME=@FILE]... [COMMAND [ARGUMENT]...]
//
// A value @FILE is the content of the file without white space around it, a token say.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	for ; len(args) > 0; args = args[1:] {
		name, value, found := strings.Cut(args[0], "=")
		if !found {
			break
		}
		if path, isFile := strings.CutPrefix(value, "@"); isFile {
			content, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("cannot read the value of %s: %w", name, err)
			}
			value = strings.TrimSpace(string(content))
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("cannot set %q: %w", name, err)
		}
	}
	if len(args) == 0 {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		<-signals
		return nil
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("cannot find the command: %w", err)
	}
	return syscall.Exec(path, args, os.Environ())
}
