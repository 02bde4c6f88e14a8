// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/testenv"
)

// serveCommand is what `up` runs in the background: the process that owns the cluster.
const serveCommand = "serve"

// readyLine is the last thing that the process in the background says to `up`.
const readyLine = "ready"

// downTimeout bounds how long a cluster may take to end; downInterval is how often it is asked.
const (
	downTimeout  = 90 * time.Second
	downInterval = 100 * time.Millisecond
)

// node is a cluster of test/cluster.
type node struct{ *cluster.Handle }

func (n node) kubeconfig() string { return n.Kubeconfig() }

func (n node) kubectl() string { return filepath.Join(n.Assets, "kubectl") }

func (n node) load(ctx context.Context, archive string) error { return n.LoadImage(ctx, archive) }

func (n node) enter(ctx context.Context, args []string) error {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	// kubectl and the like work there, too.
	command.Env = append(os.Environ(), "KUBECONFIG="+n.InsideKubeconfig(), "PATH="+n.Assets+":"+os.Getenv("PATH"),
		"CONTAINERD_ADDRESS="+filepath.Join(n.Dir, "containerd.sock"), "CONTAINERD_NAMESPACE=k8s.io")
	return n.Enter(command)
}

func (n node) forward(ctx context.Context, to string) error {
	way, err := relay.Start(func(ctx context.Context) (net.Conn, error) { return n.Dial(ctx, "tcp", to) })
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", way.Address())
	<-ctx.Done()
	return way.Stop()
}

// down asks the owner to end the cluster and waits until nothing of it is left.
func (n node) down(ctx context.Context) error {
	if err := syscall.Kill(n.Owner, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cannot end the owner of the cluster, process %d: %w", n.Owner, err)
	}
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	for {
		if _, err := os.Stat(n.Dir); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "cluster %s: gone\n", n.Name)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster %q does not end: %w: its owner is process %d", n.Name, ctx.Err(), n.Owner)
		case <-time.After(downInterval):
		}
	}
}

// upNode builds what a node needs where that is missing, starts the owner of a cluster in the
// background and waits until it is ready.
func upNode(ctx context.Context, r request) error {
	if err := attached(ctx, filepath.Join(testenv.Root(), "hack", "install-deps.sh"), "cluster"); err != nil {
		return fmt.Errorf("cannot install what a node needs: %w", err)
	}
	ensure := exec.CommandContext(ctx, filepath.Join(testenv.Root(), "hack", "controlplane", "ensure.sh"), "--node")
	ensure.Stderr = os.Stderr
	if err := ensure.Run(); err != nil {
		return fmt.Errorf("cannot build a node's binaries: %w", err)
	}
	if err := check(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program: %w", err)
	}
	// Not exec.CommandContext: once it is ready the owner has a life of its own.
	owner := exec.Command(self, serveCommand, "--name", r.name, "--logs", r.logs) //nolint:noctx // see above
	owner.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, err := owner.StdoutPipe()
	if err != nil {
		return fmt.Errorf("cannot listen to the owner of the cluster: %w", err)
	}
	if err := owner.Start(); err != nil {
		return fmt.Errorf("cannot start the owner of the cluster: %w", err)
	}
	detach := context.AfterFunc(ctx, func() { _ = owner.Process.Signal(syscall.SIGTERM) })
	last, err := relayLines(said)
	if err != nil {
		return err
	}
	if !detach() || last != readyLine {
		_ = owner.Wait()
		return errors.New("the cluster did not start")
	}
	handle, err := cluster.Open(r.name)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", handle.Kubeconfig())
	return nil
}

// check says what this machine lacks to run a node, each with its remedy.
func check(ctx context.Context) error {
	if missing := cluster.Missing(ctx); len(missing) > 0 {
		return fmt.Errorf("cannot run a node here; missing:\n  %s", strings.Join(missing, "\n  "))
	}
	return nil
}

// relayLines prints what the owner says until it is ready or has ended, and returns the last line.
func relayLines(said io.Reader) (string, error) {
	lines, last := bufio.NewScanner(said), ""
	for lines.Scan() {
		if last = lines.Text(); last == readyLine {
			break
		}
		fmt.Fprintln(os.Stderr, last)
	}
	return last, lines.Err()
}

// serve owns a cluster until it is told to end. It says how the start goes on standard output.
func serve(ctx context.Context, r request) error {
	c, err := cluster.Start(ctx, cluster.Options{Name: r.name, Logs: r.logs, Progress: os.Stdout})
	if err != nil {
		fmt.Println(err)
		return err
	}
	fmt.Println(readyLine)
	<-ctx.Done()
	return c.Stop()
}

func list(ctx context.Context) error {
	running, err := cluster.List()
	if err != nil {
		return err
	}
	for _, handle := range running {
		fmt.Printf("%s\tnode\t%s\n", handle.Name, handle.Kubeconfig())
	}
	return listKind(ctx)
}
