// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// kind is a cluster of https://kind.sigs.k8s.io, run in Docker.
type kind struct{ name string }

// up starts a cluster with the provider asked for, or the one that suits the machine.
func up(ctx context.Context, r request) error {
	switch {
	case r.provider == "kind", r.provider == "" && kindInstalled(ctx):
		return kind{name: r.name}.up(ctx)
	case r.provider == "node", r.provider == "":
		return upNode(ctx, r)
	default:
		return fmt.Errorf("no provider %q; there are: node kind", r.provider)
	}
}

// kindInstalled says whether kind is there and Docker answers.
func kindInstalled(ctx context.Context) bool {
	if _, err := exec.LookPath("kind"); err != nil {
		return false
	}
	return exec.CommandContext(ctx, "docker", "info").Run() == nil
}

// folder holds the kubeconfigs of kind's clusters.
func folder() string { return filepath.Join(os.TempDir(), "doorward-kind") }

// checkFolder refuses a folder of kubeconfigs that somebody else owns or may look or write into: the
// folder for temporary files is everybody's, and whose cluster kubectl talks to is what they say.
func checkFolder() error {
	info, err := os.Lstat(folder())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look for kind's clusters: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("folder %q is not this user's alone: remove it, or set TMPDIR to another", folder())
	}
	return nil
}

func (k kind) kubeconfig() string { return filepath.Join(folder(), k.name+".kubeconfig") }

func (k kind) kubectl() string { return "kubectl" }

// running says whether this program has started the cluster and it is still there. The error is
// that of the folder.
func (k kind) running(ctx context.Context) (bool, error) {
	if err := checkFolder(); err != nil {
		return false, err
	}
	if info, err := os.Lstat(k.kubeconfig()); err != nil || !info.Mode().IsRegular() {
		return false, nil //nolint:nilerr // none of this name
	}
	out, err := exec.CommandContext(ctx, "kind", "get", "clusters").Output()
	return err == nil && strings.Contains("\n"+string(out), "\n"+k.name+"\n"), nil
}

func (k kind) up(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(folder(), 0o700), checkFolder()); err != nil {
		return fmt.Errorf("cannot make a folder for kubeconfigs: %w", err)
	}
	err := attached(ctx, "kind", "create", "cluster", "--name", k.name, "--kubeconfig", k.kubeconfig(), "--wait", "3m")
	if err != nil {
		return fmt.Errorf("kind could not start the cluster: %w", err)
	}
	fmt.Printf("export KUBECONFIG=%s\n", k.kubeconfig())
	return nil
}

func (k kind) down(ctx context.Context) error {
	err := attached(ctx, "kind", "delete", "cluster", "--name", k.name, "--kubeconfig", k.kubeconfig())
	if err != nil {
		return fmt.Errorf("kind could not end the cluster: %w", err)
	}
	if err := os.Remove(k.kubeconfig()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the cluster's kubeconfig: %w", err)
	}
	return nil
}

func (k kind) load(ctx context.Context, archive string) error {
	return attached(ctx, "kind", "load", "image-archive", archive, "--name", k.name)
}

func (k kind) enter(ctx context.Context, args []string) error {
	return attached(ctx, "docker", append([]string{"exec", "--interactive", k.name + "-control-plane"}, args...)...)
}

// forward has kubectl relay, which takes Services as service.namespace.svc:port.
func (k kind) forward(ctx context.Context, to string) error {
	host, port, found := strings.Cut(to, ":")
	name, rest, _ := strings.Cut(host, ".")
	namespace, _, _ := strings.Cut(rest, ".")
	if !found || name == "" || namespace == "" {
		return fmt.Errorf("cannot forward to %q: kind's clusters are reached as service.namespace.svc:port", to)
	}
	// kubectl gets the interrupt of the terminal itself.
	signal.Ignore(syscall.SIGINT)
	return attached(ctx, k.kubectl(), "--kubeconfig="+k.kubeconfig(), "--namespace="+namespace, "port-forward", "service/"+name, ":"+port)
}

// listKind prints the clusters that this program has started with kind.
func listKind(ctx context.Context) error {
	if err := checkFolder(); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(folder(), "*.kubeconfig"))
	if err != nil {
		return fmt.Errorf("cannot look for kind's clusters: %w", err)
	}
	for _, path := range paths {
		k := kind{name: strings.TrimSuffix(filepath.Base(path), ".kubeconfig")}
		running, err := k.running(ctx)
		if err != nil {
			return err
		}
		if running {
			fmt.Printf("%s\tkind\t%s\n", k.name, path)
		}
	}
	return nil
}
