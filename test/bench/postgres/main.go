// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command postgres compares ways to PostgreSQL in one run: direct, through
// pgbouncer in session mode, through the simplest Go TCP relay, and through
// Doorward with policy, masks and record on, its log on disk and, to tell what
// that costs, in memory. pgbench runs select-only transactions with prepared
// statements, over verified TLS on every path. The paths take turns, so that
// what else the machine does meets all of them.
//
// With -audit it compares what settings of spec.audit cost instead: Doorward's
// own packages without a record, Local, Remote, readOverlap and responses.
//
// It prints medians, ratios, and the CPU time that the process in between took
// for each transaction; Doorward's is split into layers by a CPU profile.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

//go:embed policy.yaml
var policyManifest string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rounds := flag.Int("rounds", 5, "turns of each path")
	duration := flag.Duration("time", 5*time.Second, "length of one pgbench run")
	scale := flag.Int("scale", 10, "pgbench scale factor")
	audit := flag.Bool("audit", false, "compare settings of spec.audit instead of other programs")
	relayTo := flag.String("relay-to", "", "serve as the plain relay to this address (used by the command itself)")
	spec := flag.String("forgetful", "", "serve what this file describes without a record (used by the command itself)")
	flag.Parse()
	var err error
	switch {
	case *relayTo != "":
		err = serveRelay(ctx, *relayTo)
	case *spec != "":
		err = serveForgetful(ctx, *spec)
	case *audit:
		err = auditBench(ctx, *rounds, *duration, *scale)
	default:
		err = bench(ctx, *rounds, *duration, *scale)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func bench(ctx context.Context, rounds int, duration time.Duration, scale int) (err error) {
	s, err := startStack(ctx, scale)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := allow(ctx, s, stack.Connection); err != nil {
		return err
	}
	bouncer, err := pgtest.StartPgBouncer(ctx, s.Postgres, map[string]string{stack.Role: s.Canary})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bouncer.Stop()) }()
	relay, relayPort, err := startSelf(ctx, "--relay-to="+net.JoinHostPort(s.Postgres.Host, strconv.Itoa(s.Postgres.Port)))
	if err != nil {
		return err
	}
	defer func() { _ = relay.Process.Kill(); _ = relay.Wait() }()
	memory, err := startInMemory(ctx, s)
	if err != nil {
		return err
	}
	if memory != nil {
		// Its log goes with it, so it must have ended.
		defer func() { err = errors.Join(err, memory.Stop(), os.RemoveAll(memory.Spool)) }()
	}
	token, err := s.Issuer.Token(stack.GatewayAudience, "alice", "analysts")
	if err != nil {
		return err
	}
	paths := []path{
		directPath(s),
		{name: "pgbouncer", env: target(strconv.Itoa(bouncer.Port), s.Canary, s.Postgres.CAPath), pid: bouncer.PID()},
		{name: "relay", env: target(relayPort, s.Canary, s.Postgres.CAPath), pid: relay.Process.Pid},
		{name: "doorward", env: target(portOf(s.Proxy().Address), token, s.CAPath), pid: s.Proxy().PID()},
	}
	if memory != nil {
		paths = append(paths, path{name: inMemory, env: target(portOf(memory.Address), token, s.CAPath), pid: memory.PID()})
	}
	fmt.Println(tlsOfPaths)
	if err := environment(s.Proxy().Spool); err != nil {
		return err
	}
	for _, clients := range []int{1, 16} {
		w := workload{name: "select-only", clients: clients}
		results, err := measure(ctx, s.Postgres.BinDir, paths, w, turns{rounds: rounds, duration: duration, warmUp: warmUp})
		if err != nil {
			return err
		}
		report(paths, results, w)
	}
	if err := layers(ctx, s.Postgres.BinDir, paths[3], s.Proxy().PprofAddress, duration); err != nil {
		return err
	}
	return environment(s.Proxy().Spool)
}

// tlsOfPaths says who encrypts for whom.
const tlsOfPaths = `
pgbench verifies the server's certificate on every path (sslmode=verify-full, TLS 1.3):
  direct     one TLS session, client to PostgreSQL
  pgbouncer  two, client to pgbouncer and pgbouncer to PostgreSQL, both verified
  relay      one, which passes through the relay unopened
  doorward   two, client to Doorward and Doorward to PostgreSQL, both verified`

// inMemory is a second proxy with its log on a tmpfs, where a sync is free.
const (
	inMemory = "doorward, log in memory"
	tmpfs    = "/dev/shm"
)

// startInMemory starts the second proxy, or returns nil where there is no tmpfs.
func startInMemory(ctx context.Context, s *stack.Stack) (*stack.Proxy, error) {
	if _, err := os.Stat(tmpfs); err != nil {
		fmt.Println("There is no", tmpfs, "on this machine: what the sync costs is not measured")
		return nil, nil //nolint:nilnil,nilerr // measured where it can be
	}
	spool, err := os.MkdirTemp(tmpfs, "doorward-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot keep a log in memory: %w", err)
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(spool))
	}
	p, err := s.StartProxy(ctx, stack.ProxyOptions{Connection: stack.Connection, Port: port, Instance: "in-memory", Spool: spool})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(spool))
	}
	return p, nil
}

// environment prints what the figures depend on besides the programs.
func environment(spool string) error {
	rate, err := syncRate(spool, time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d CPUs, load average %.1f, the log's disk makes %.0f writes of %d KiB durable a second (%s each)\n\n",
		runtime.NumCPU(), load(), rate, syncWrite>>10, time.Duration(float64(time.Second)/rate).Round(time.Microsecond))
	return nil
}

func portOf(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

// startStack starts the stack and fills pgbench's tables.
func startStack(ctx context.Context, scale int) (_ *stack.Stack, err error) {
	fmt.Println("Starting the stack ...")
	log.SetLogger(logr.Discard())
	s, err := stack.Start(ctx, stack.Options{Progress: os.Stdout, Quiet: true, Pprof: true})
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, filepath.Join(s.Postgres.BinDir, "pgbench"), "--initialize", "--quiet", "--scale="+strconv.Itoa(scale))
	command.Env = append(os.Environ(), directPath(s).env...)
	if output, err := command.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot fill pgbench's tables: %w: %s", err, output), s.Stop())
	}
	return s, nil
}

// target names a server on loopback to libpq.
func target(port, password, ca string) []string {
	return []string{
		"PGHOST=127.0.0.1", "PGPORT=" + port, "PGUSER=" + stack.Role, "PGDATABASE=" + stack.Database,
		"PGPASSWORD=" + password, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + ca,
	}
}

// directPath has nothing in between.
func directPath(s *stack.Stack) path {
	return path{name: "direct", env: target(strconv.Itoa(s.Postgres.Port), s.Canary, s.Postgres.CAPath)}
}

// startSelf runs this command again as a server, so that its CPU time can be
// told from ours. The server says its address on its first line.
func startSelf(ctx context.Context, argument string) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("cannot start %q: %w", argument, err)
	}
	command := exec.CommandContext(ctx, self, argument)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("cannot start %q: %w", argument, err)
	}
	if err := command.Start(); err != nil {
		return nil, "", fmt.Errorf("cannot start %q: %w", argument, err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, "", errors.Join(fmt.Errorf("%q said no address", argument), lines.Err(), command.Wait())
	}
	_, port, err := net.SplitHostPort(lines.Text())
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the address of %q: %w", argument, err)
	}
	return command, port, nil
}
