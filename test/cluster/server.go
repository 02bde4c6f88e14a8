// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/doorward/doorward/test/proc"
)

// Server is one process of the cluster, which a test may take away and give back.
type Server struct {
	node    *Handle
	command proc.Command
	ready   func(context.Context) error
	process *proc.Process // nil while stopped
}

// newServer prepares a server; its log is <name>.log.
func (c *Cluster) newServer(name string, ready func(context.Context) error, args ...string) *Server {
	server := &Server{node: &c.Handle, ready: ready, command: proc.Command{
		Name: name, Path: filepath.Join(c.Assets, name), Args: args, Output: filepath.Join(c.Dir, name+".log"),
	}}
	c.servers = append(c.servers, server)
	return server
}

// Start starts the server, unless it runs, and waits until it is ready.
func (s *Server) Start(ctx context.Context) error {
	if s.Running() {
		return nil
	}
	node := s.node.sandbox()
	command := s.command
	command.Thread, command.Attributes = node.enter, node.attributes
	process, err := proc.StartReady(ctx, command, startTimeout, s.ready)
	if err != nil {
		return err
	}
	s.process = process
	return nil
}

// Stop asks the server to end, kills it where it takes too long, as an API server does that
// waits for its watchers, and returns when it is gone. Stopping kubelet or containerd leaves the
// node's pods running.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-s.process.Done():
		s.process = nil
		return nil
	case <-timer.C:
		return s.Kill()
	}
}

// Kill ends the server at once, as a crash would, and waits until it has.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.process.Done()
	s.process = nil
	return nil
}

// Restart stops the server and starts it again.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return fmt.Errorf("cannot restart: %w", err)
	}
	return s.Start(ctx)
}

// Running says whether the process is there.
func (s *Server) Running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.process.Done():
		return false
	default:
		return true
	}
}

// startAll starts several servers at the same time; where one fails it waits for no other.
func startAll(ctx context.Context, servers ...*Server) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error)
	for _, server := range servers {
		go func() { results <- server.Start(ctx) }()
	}
	var errs []error
	for range servers {
		err := <-results
		if err != nil {
			cancel()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
