// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/test/proc"
)

const pollInterval = 100 * time.Millisecond

// Proxy is one External proxy of a stack.
type Proxy struct {
	Connection string
	// Instance is its id.
	Instance string
	// Address is where clients connect.
	Address string
	// HealthAddress serves /readyz and /metrics.
	HealthAddress string
	// PprofAddress serves profiles, where ProxyOptions.Pprof was set.
	PprofAddress string
	// Spool is the folder of its log.
	Spool string

	command proc.Command
	process *proc.Process
}

// ProxyOptions say how a further proxy is started.
type ProxyOptions struct {
	Connection string
	// Port to listen on; the Connection's spec.proxy.external.port where zero.
	Port int
	// Instance is the proxy's id; the Connection's name and "-1" where empty.
	Instance string
	// Pprof makes the proxy serve profiles.
	Pprof bool
	// Spool is the folder of its log; one in the stack's folder where empty.
	Spool string
	// Args are appended to the command line.
	Args []string
	// Env is added to the environment, as NAME=value.
	Env []string
}

func (s *Stack) startShopProxy(ctx context.Context) error {
	if _, err := s.StartProxy(ctx, ProxyOptions{
		Connection: Connection, Port: s.options.ProxyPort, Pprof: s.options.Pprof, Args: s.options.ProxyArgs, Env: s.options.ProxyEnv,
	}); err != nil {
		return err
	}
	return s.WaitReady(ctx, Connection)
}

// StartProxy enrols and starts a proxy for a Connection with External placement.
func (s *Stack) StartProxy(ctx context.Context, options ProxyOptions) (*Proxy, error) {
	if options.Instance == "" {
		options.Instance = options.Connection + "-1"
	}
	dir := filepath.Join(s.Dir, "proxies", options.Instance)
	request := enrol.Request{
		Namespace: Namespace, Connection: options.Connection, OperatorNamespace: OperatorNamespace,
		Directory: dir, Instance: options.Instance, Listen: proc.Loopback,
		Recordings: enrol.Nowhere, // proxies of one machine; whoever reads recordings says where in Args
	}
	if options.Port != 0 {
		request.Listen = net.JoinHostPort(proc.Loopback, strconv.Itoa(options.Port))
	}
	args, err := s.enrol(ctx, request)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Connection: options.Connection, Instance: options.Instance, Spool: filepath.Join(dir, "spool")}
	if p.HealthAddress, err = proc.FreeAddress(ctx); err != nil {
		return nil, err
	}
	for _, arg := range args {
		if listen, found := strings.CutPrefix(arg, "--listen="); found {
			_, p.Address, _ = strings.Cut(listen, "=")
		}
	}
	args = append(args, "--health-address="+p.HealthAddress)
	if options.Spool != "" {
		p.Spool = options.Spool
		args = append(args, "--spool="+p.Spool)
	}
	if options.Pprof {
		if p.PprofAddress, err = proc.FreeAddress(ctx); err != nil {
			return nil, err
		}
		args = append(args, "--pprof-address="+p.PprofAddress)
	}
	if s.options.DrainTimeout > 0 {
		args = append(args, "--drain-timeout="+s.options.DrainTimeout.String())
	}
	p.command = proc.Command{
		Name: "proxy " + options.Instance, Path: s.binaries.Proxy, Args: append(args, options.Args...),
		Dir: dir, Output: filepath.Join(s.Logs(), "proxy-"+options.Instance+".log"),
	}
	if len(options.Env) > 0 {
		p.command.Env = append(os.Environ(), options.Env...)
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.proxies = append(s.proxies, p)
	s.mu.Unlock()
	return p, nil
}

// Proxy is the shop's proxy.
func (s *Stack) Proxy() *Proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proxies[0]
}

// Start runs the proxy's process and waits until it is ready.
func (p *Proxy) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.AwaitReady(ctx)
}

// Launch runs the proxy's process and does not wait.
func (p *Proxy) Launch() (err error) {
	p.process, err = proc.Start(p.command)
	return err
}

// AwaitReady waits until a proxy that was launched is ready.
func (p *Proxy) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	return p.process.WaitReady(ctx, pollInterval, p.Ready)
}

// Ready says why the proxy is not ready, or nil.
func (p *Proxy) Ready(ctx context.Context) error {
	return proc.Answers(http.DefaultClient, "http://"+p.HealthAddress+"/readyz")(ctx)
}

// PID is the proxy's process id.
func (p *Proxy) PID() int { return p.process.PID() }

// Signal sends a signal to the proxy.
func (p *Proxy) Signal(signal syscall.Signal) error { return p.process.Signal(signal) }

// Kill ends the proxy without a word, as a crash does, and waits until it is
// gone. Start brings it back.
func (p *Proxy) Kill() error {
	if err := p.process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.process.Done()
	return nil
}

// Done is closed when the process has ended.
func (p *Proxy) Done() <-chan struct{} { return p.process.Done() }

// Err is how the process ended.
func (p *Proxy) Err() error { return p.process.Err() }

// Stop ends the proxy's process.
func (p *Proxy) Stop() error {
	if p.process == nil {
		return nil
	}
	return p.process.Stop()
}

// PSQL is a connection string to the shop through the proxy, without a token.
func (s *Stack) PSQL(p *Proxy) string { return s.PSQLOf(p, Database) }

// PSQLOf is a connection string to a database through the proxy, without a token.
func (s *Stack) PSQLOf(p *Proxy, database string) string {
	_, port, _ := net.SplitHostPort(p.Address)
	return fmt.Sprintf("host=localhost port=%s dbname=%s user=doorward sslmode=verify-full sslrootcert=%s", port, database, s.CAPath)
}

// enrol gives a proxy its identity; the manager may still be making it.
func (s *Stack) enrol(ctx context.Context, request enrol.Request) (args []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	err = Await(ctx, func(ctx context.Context) (err error) {
		args, err = enrol.Enrol(ctx, s.adminConfig, s.Admin, request)
		return err
	})
	return args, err
}

// Log is the path of the proxy's own log.
func (p *Proxy) Log() string { return p.command.Output }
