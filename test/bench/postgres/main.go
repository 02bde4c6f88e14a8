// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command postgres compares ways to PostgreSQL in one run: direct, through
// pgbouncer in session mode, through the simplest Go TCP relay, and through
// Doorward with policy, masks and record on, its log on disk and, to tell what
// that costs, in memory. pgbench runs select-only transactions with prepared
// statements, over verified TLS on every path. The paths take turns, so that
// what else the machine does meets all of them.
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
	"slices"
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
	relayTo := flag.String("relay-to", "", "serve as the plain relay to this address (used by the command itself)")
	flag.Parse()
	var err error
	if *relayTo != "" {
		err = serveRelay(ctx, *relayTo)
	} else {
		err = bench(ctx, *rounds, *duration, *scale)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func bench(ctx context.Context, rounds int, duration time.Duration, scale int) (err error) {
	fmt.Println("Starting the stack ...")
	log.SetLogger(logr.Discard())
	s, err := stack.Start(ctx, stack.Options{Progress: os.Stdout, Quiet: true, Pprof: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := prepare(ctx, s, scale); err != nil {
		return err
	}
	bouncer, err := pgtest.StartPgBouncer(ctx, s.Postgres, map[string]string{stack.Role: s.Canary})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bouncer.Stop()) }()
	relay, relayPort, err := startRelay(ctx, net.JoinHostPort(s.Postgres.Host, strconv.Itoa(s.Postgres.Port)))
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
	target := func(port, password, ca string) []string {
		return []string{
			"PGHOST=127.0.0.1", "PGPORT=" + port, "PGUSER=" + stack.Role, "PGDATABASE=" + stack.Database,
			"PGPASSWORD=" + password, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + ca,
		}
	}
	paths := []path{
		{name: "direct", env: target(strconv.Itoa(s.Postgres.Port), s.Canary, s.Postgres.CAPath)},
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
		results, err := measure(ctx, s.Postgres.BinDir, paths, clients, rounds, duration)
		if err != nil {
			return err
		}
		report(paths, results, clients)
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

// prepare fills pgbench's tables and allows reading them.
func prepare(ctx context.Context, s *stack.Stack, scale int) error {
	command := exec.CommandContext(ctx, filepath.Join(s.Postgres.BinDir, "pgbench"), "--initialize", "--quiet", "--scale="+strconv.Itoa(scale))
	command.Env = append(os.Environ(),
		"PGHOST="+s.Postgres.Host, "PGPORT="+strconv.Itoa(s.Postgres.Port), "PGUSER="+stack.Role, "PGPASSWORD="+s.Canary,
		"PGDATABASE="+stack.Database, "PGSSLMODE=verify-full", "PGSSLROOTCERT="+s.Postgres.CAPath)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot fill pgbench's tables: %w: %s", err, output)
	}
	if err := s.Apply(ctx, policyManifest); err != nil {
		return err
	}
	return s.AwaitPolicy(ctx, stack.Connection, "bench")
}

// startRelay runs this command again as the plain relay, so that its CPU time
// can be told from ours.
func startRelay(ctx context.Context, target string) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("cannot start the relay: %w", err)
	}
	command := exec.CommandContext(ctx, self, "--relay-to="+target)
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("cannot start the relay: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, "", fmt.Errorf("cannot start the relay: %w", err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, "", errors.Join(errors.New("the relay said no address"), lines.Err(), command.Wait())
	}
	_, port, err := net.SplitHostPort(lines.Text())
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the relay's address: %w", err)
	}
	return command, port, nil
}

// warmUp is long enough for all clients to have come in on a busy machine.
const warmUp = 3 * time.Second

// measure lets the paths take turns; the first turn of each warms up and is dropped.
func measure(ctx context.Context, binDir string, paths []path, clients, rounds int, duration time.Duration) (map[string][]sample, error) {
	results := map[string][]sample{}
	for round := range rounds + 1 {
		for _, p := range paths {
			length := duration
			if round == 0 {
				length = warmUp
			}
			got, err := pgbench(ctx, binDir, p, clients, length)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				results[p.name] = append(results[p.name], got)
			}
		}
		fmt.Fprintf(os.Stderr, "%d clients: turn %d of %d\n", clients, round, rounds)
	}
	return results, nil
}

func report(paths []path, results map[string][]sample, clients int) {
	fmt.Printf("\npgbench -S -M prepared, %d client(s), medians of %d turns, load average %.1f\n", clients, len(results[paths[0].name]), load())
	fmt.Printf("%-23s %10s %12s %12s %12s %12s %16s\n", "path", "tps", "latency", "of direct", "of pgbouncer", "of relay", "CPU/transaction")
	tps := map[string]float64{}
	for _, p := range paths {
		tps[p.name] = median(results[p.name], func(s sample) float64 { return s.tps })
	}
	for _, p := range paths {
		latency := time.Duration(median(results[p.name], func(s sample) float64 { return float64(s.latency) }))
		cpu := time.Duration(median(results[p.name], func(s sample) float64 { return float64(s.cpu) }))
		fmt.Printf("%-23s %10.0f %12s %12.2f %12.2f %12.2f %16s\n", p.name, tps[p.name], latency.Round(time.Microsecond),
			tps[p.name]/tps["direct"], tps[p.name]/tps["pgbouncer"], tps[p.name]/tps["relay"], cpu.Round(100*time.Nanosecond))
	}
	fmt.Println()
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
