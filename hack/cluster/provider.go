// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/cluster/images"
)

// provider is what runs a cluster.
type provider interface {
	kubeconfig() string
	// kubectl is the program to run, of the version that suits the cluster.
	kubectl() string
	down(ctx context.Context) error
	load(ctx context.Context, archive string) error
	// enter runs a command on the node with the terminal of this process.
	enter(ctx context.Context, args []string) error
	// forward relays a loopback port until the context ends.
	forward(ctx context.Context, to string) error
}

// found is a running cluster.
type found struct{ provider }

// find returns the cluster of the name, whichever provider runs it.
func find(ctx context.Context, name string) (found, error) {
	handle, err := cluster.Open(name)
	if err == nil {
		return found{node{handle}}, nil
	}
	k := kind{name: name}
	switch running, wrong := k.running(ctx); {
	case wrong != nil:
		return found{}, wrong
	case running:
		return found{k}, nil
	}
	return found{}, err
}

// do executes the commands that need a running cluster.
func (f found) do(ctx context.Context, r request) error {
	switch r.command {
	case "down":
		return f.down(ctx)
	case "env":
		fmt.Printf("export KUBECONFIG=%s\n", f.kubeconfig())
		return nil
	case "kubectl":
		return attached(ctx, f.kubectl(), append([]string{"--kubeconfig=" + f.kubeconfig()}, r.args...)...)
	case "load":
		if len(r.args) == 0 {
			return errors.New("load needs the path of an archive")
		}
		return f.loadAll(ctx, r.args)
	case "images":
		return f.testImages(ctx)
	case "enter":
		if len(r.args) == 0 {
			r.args = []string{"bash"}
		}
		return f.enter(ctx, r.args)
	case "forward":
		if len(r.args) != 1 {
			return errors.New("forward needs one address, as service.namespace.svc:port")
		}
		return f.forward(ctx, r.args[0])
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", r.command)
	}
}

func (f found) loadAll(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if err := f.load(ctx, archive); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "loaded %s\n", archive)
	}
	return nil
}

// testImages builds the images of test/cluster/images and loads them.
func (f found) testImages(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "doorward-images-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the images: %w", err)
	}
	defer os.RemoveAll(dir)
	archives, err := images.All(ctx, dir)
	if err != nil {
		return err
	}
	return f.loadAll(ctx, archives)
}

// attached runs a program with the terminal of this process.
func attached(ctx context.Context, path string, args ...string) error {
	command := exec.CommandContext(ctx, path, args...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command.Run()
}
