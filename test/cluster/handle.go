// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/doorward/doorward/test/proc"
)

// Handle is a running cluster as any process of the machine can use it.
type Handle struct {
	// Name of the cluster, and of its node.
	Name string `json:"name"`
	// Dir holds data, certificates and logs.
	Dir string `json:"dir"`
	// Assets is the folder of the binaries, kubectl, etcdctl and etcdutl among them.
	Assets string `json:"assets"`
	// Init is the process that the node ends with.
	Init int `json:"init"`
	// Owner is the process that ends the cluster.
	Owner int `json:"owner"`
}

// NodeAddress is where pods reach what listens on the node, see [Handle.Listen]. NodePorts
// are there, too.
func (h *Handle) NodeAddress() string { return nodeAddress }

func (h *Handle) sandbox() sandbox { return sandbox{pid: h.Init} }

// Dial connects from inside the node: to pods, to Services by address or by name, to
// NodePorts. Names are those of the cluster's DNS, "name.namespace.svc" at least.
func (h *Handle) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("cannot dial %q: %w", address, err)
	}
	if net.ParseIP(host) == nil {
		addresses, err := h.resolver().LookupHost(ctx, absolute(host))
		if err != nil {
			return nil, fmt.Errorf("cannot dial %q: %w", address, err)
		}
		address = net.JoinHostPort(addresses[0], port)
	}
	var conn net.Conn
	err = h.sandbox().inNetwork(func() (err error) {
		// One address, no second attempt beside it: all of it happens on this thread.
		dialer := net.Dialer{FallbackDelay: -1}
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// absolute completes the name of a Service; one with a dot at its end is complete.
func absolute(name string) string {
	switch {
	case strings.HasSuffix(name, "."):
		return name
	case strings.HasSuffix(name, ".svc"):
		return name + "." + domain + "."
	default:
		return name + "."
	}
}

// resolver asks the cluster's DNS.
func (h *Handle) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return h.Dial(ctx, network, net.JoinHostPort(dnsAddress, "53"))
	}}
}

// Listen opens a port inside the node, for servers of the calling process that pods shall
// reach at [Handle.NodeAddress].
func (h *Handle) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	var listener net.Listener
	err := h.sandbox().inNetwork(func() (err error) {
		var config net.ListenConfig
		listener, err = config.Listen(ctx, network, address)
		return err
	})
	return listener, err
}

// Enter runs a command inside the node's namespaces and waits for it.
func (h *Handle) Enter(cmd *exec.Cmd) error {
	node := h.sandbox()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	node.attributes(cmd.SysProcAttr)
	done := make(chan error)
	go func() {
		// Not unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		err := node.enter()
		if err == nil {
			err = cmd.Run()
		}
		done <- err
	}()
	return <-done
}

// Run starts a process inside the node's namespaces; it ends with the node at the latest.
func (h *Handle) Run(command proc.Command) (*proc.Process, error) {
	node := h.sandbox()
	command.Thread, command.Attributes = node.enter, node.attributes
	return proc.Start(command)
}

// inside runs a program inside the node and returns its standard output.
func (h *Handle) inside(ctx context.Context, path string, args ...string) ([]byte, error) {
	return run(exec.CommandContext(ctx, path, args...), h.Enter)
}

// output runs a program outside and returns its standard output.
func output(ctx context.Context, path string, args ...string) ([]byte, error) {
	return run(exec.CommandContext(ctx, path, args...), (*exec.Cmd).Run)
}

// run returns the standard output; an error quotes the other one.
func run(cmd *exec.Cmd, how func(*exec.Cmd) error) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := how(cmd); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			exit.Stderr = stderr.Bytes()
		}
		return stdout.Bytes(), fmt.Errorf("%s %s: %w: %s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
