// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/testcert"
)

// Cluster is a running cluster and its owner's means to break it. Its servers may be stopped,
// killed and started one by one.
type Cluster struct {
	Handle

	Etcd, APIServer, ControllerManager, Scheduler *Server
	Containerd, Kubelet, Proxy, DNS               *Server

	ca          *testcert.CA
	client      *http.Client // the admin, inside the node
	snapshotter string       // of containerd
	servers     []*Server
	lock        *os.File
	logs        string         // where logs are kept; nowhere where empty
	stops       []func() error // run in reverse order
}

// Start runs a cluster of one node until [Cluster.Stop], or until this process ends in whichever
// way. The context bounds the start only. Remains of clusters whose owners were killed go first.
func Start(ctx context.Context, options Options) (_ *Cluster, err error) {
	progress := options.Progress
	if progress == nil {
		progress = io.Discard
	}
	c := &Cluster{logs: options.Logs}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.Assets = options.Assets; c.Assets == "" {
		if c.Assets, err = Assets(ctx); err != nil {
			return nil, err
		}
	}
	if err := sweep(); err != nil {
		return nil, err
	}
	if c.Name, c.Dir, c.lock, err = claim(options.Name); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"namespaces", c.startSandbox},
		{"configuration", func(context.Context) error { return c.prepareControlPlane(options) }},
		{"node's configuration", c.prepareNode},
		{"way to the API server", c.startRelay},
		{"etcd, kube-apiserver and containerd", c.startBase},
		{"controllers, scheduler, kubelet, kube-proxy and CoreDNS", c.startNode},
		{"volumes", c.startProvisioner},
		{"Ready", c.AwaitReady},
	} {
		began := time.Now()
		fmt.Fprintf(progress, "cluster %s: %s\n", c.Name, step.what)
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("cannot start cluster %q: %s: %w", c.Name, step.what, err)
		}
		if took := time.Since(began); took > time.Second {
			fmt.Fprintf(progress, "cluster %s:   %.1f s\n", c.Name, took.Seconds())
		}
	}
	if err := c.save(); err != nil {
		return nil, err
	}
	return c, nil
}

// StartT is [Start] for one test, which is skipped where the machine cannot run a node; the
// cluster ends with it.
func StartT(tb testing.TB, options Options) *Cluster {
	tb.Helper()
	SkipUnable(tb)
	c, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Stop(); err != nil {
			tb.Errorf("cannot stop the cluster: %v", err)
		}
	})
	return c
}

// startSandbox makes the node's namespaces.
func (c *Cluster) startSandbox(ctx context.Context) error {
	if c.snapshotter = "native"; overlays(c.Dir) {
		c.snapshotter = "overlayfs"
	}
	process, err := startSandbox(ctx, c.Dir, c.group())
	if err != nil {
		return err
	}
	c.stops = append(c.stops, process.Stop)
	c.Init, c.Owner = process.PID(), os.Getpid()
	return nil
}

// startRelay lets clients outside the node reach the API server at a loopback port.
func (c *Cluster) startRelay(context.Context) error {
	way, err := relay.Start(func(ctx context.Context) (net.Conn, error) {
		return c.Dial(ctx, "tcp", net.JoinHostPort(nodeAddress, apiPort))
	})
	if err != nil {
		return err
	}
	c.stops = append(c.stops, way.Stop)
	_, err = c.kubeconfig(admin, way.Address())
	return err
}

// startBase starts the control plane and, beside it, the container runtime.
func (c *Cluster) startBase(ctx context.Context) error {
	runtime := make(chan error)
	go func() { runtime <- c.startRuntime(ctx) }()
	return errors.Join(c.startControlPlane(ctx), <-runtime)
}

// Stop ends the cluster and removes all of it.
func (c *Cluster) Stop() error {
	var errs []error
	// Volumes and the relay first, the sandbox with every process of the node last.
	for i := len(c.stops) - 1; i >= 0; i-- {
		errs = append(errs, c.stops[i]())
	}
	c.stops = nil
	for _, server := range c.servers {
		if server.process != nil {
			<-server.process.Done()
			server.process = nil
		}
	}
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	if c.lock != nil {
		errs = append(errs, c.keepLogs(), remove(c.Name, c.Dir), c.lock.Close())
		c.lock = nil
	}
	return errors.Join(errs...)
}
