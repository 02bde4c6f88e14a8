// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command postgres measures what Doorward costs on the way to PostgreSQL,
// against peers in the same run. Its parts:
//
//   - peers: pgbench, select-only and TPC-B-like, 1 to 256 clients, simple,
//     extended and prepared, direct, through pgbouncer, through the simplest Go
//     TCP relay and through Doorward with policy, masks and record on;
//   - layers: the same through layers of Doorward, each the one before and one
//     thing more, and where its CPU time goes, from a profile;
//   - stream: a large result set with no, one and ten masked columns;
//   - idle: what a session holds that does nothing.
//
// Paths take turns, so that what else the machine does meets all of them; all
// of them have verified TLS. It prints medians, ratios, and the CPU time that
// the process in between took.
//
// With -audit it compares what settings of spec.audit cost instead: Doorward's
// own packages without a record, Local, Remote, readOverlap and responses.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/stack"
)

//go:embed policy.yaml
var policyManifest string

// The parts of the benchmark. Only peers needs a control plane.
const (
	partPeers  = "peers"
	partLayers = "layers"
	partStream = "stream"
	partIdle   = "idle"
)

// settings are what the flags say.
type settings struct {
	parts    []string
	rounds   int
	duration time.Duration
	scale    int
	clients  []int
	modes    []string
	size     int64
	sessions int
	// only limits the layers to those whose names hold this text.
	only string
	// rival is another build of this command whose layers take turns with these.
	rival string
	// profiles is a folder that CPU profiles are kept in; none where empty.
	profiles string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := settings{}
	parts := flag.String("parts", "peers,layers,stream,idle", "what to measure")
	clients := flag.String("clients", "1,16,64,256", "pgbench's clients")
	modes := flag.String("modes", "simple,extended,prepared", "pgbench's protocols")
	size := flag.Int64("size", 1024, "size of the result set that is streamed, in MiB")
	flag.IntVar(&s.rounds, "rounds", 2, "turns of each path")
	flag.DurationVar(&s.duration, "time", 2*time.Second, "length of one pgbench run, in whole seconds")
	flag.IntVar(&s.scale, "scale", 10, "pgbench scale factor")
	flag.IntVar(&s.sessions, "sessions", 5000, "idle sessions")
	flag.StringVar(&s.only, "layer", "", "measure only the layers whose names hold this text")
	flag.StringVar(&s.rival, "rival", "", "another build of this command, whose layers and streams take turns with this one's")
	flag.StringVar(&s.profiles, "profiles", "", "a folder to keep CPU profiles in")
	audit := flag.Bool("audit", false, "compare settings of spec.audit instead of other programs")
	relayTo := flag.String("relay-to", "", "serve as the plain relay to this address (used by the command itself)")
	tlsRelayOf := flag.String("tls-relay", "", "serve as the relay that this file describes (used by the command itself)")
	partial := flag.String("partial", "", "serve what this file describes (used by the command itself)")
	idling := flag.String("idle-target", "", "serve as the target that this file describes (used by the command itself)")
	flag.Parse()
	s.parts, s.modes, s.size = strings.Split(*parts, ","), strings.Split(*modes, ","), *size<<20
	var err error
	for _, word := range strings.Split(*clients, ",") {
		n, parseErr := strconv.Atoi(word)
		err = errors.Join(err, parseErr)
		s.clients = append(s.clients, n)
	}
	switch {
	case err != nil:
	case *relayTo != "":
		err = serveRelay(ctx, *relayTo)
	case *tlsRelayOf != "":
		err = serveTLSRelay(ctx, *tlsRelayOf)
	case *partial != "":
		err = servePartial(ctx, *partial)
	case *idling != "":
		err = serveIdleTarget(ctx, *idling)
	case *audit:
		err = auditBench(ctx, s.rounds, s.duration, s.scale)
	default:
		err = bench(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// tlsOfPaths says who encrypts for whom.
const tlsOfPaths = `pgbench verifies the server's certificate on every path (sslmode=verify-full, TLS 1.3):
  direct     one TLS session, client to PostgreSQL
  pgbouncer  two, client to pgbouncer and pgbouncer to PostgreSQL, both verified
  relay      one, which passes through the relay unopened
  others     two, client to the proxy and the proxy to PostgreSQL, both verified`

// bench measures the parts that were asked for, one after the other.
func bench(ctx context.Context, s settings) (err error) {
	began := time.Now()
	var p *place
	var st *stack.Stack
	if slices.Contains(s.parts, partPeers) {
		if st, err = startStack(ctx, s.scale); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, st.Stop()) }()
		if p, err = stackPlace(st); err != nil {
			return err
		}
		defer p.stop()
	} else {
		var stop func() error
		if p, stop, err = startPlace(ctx, s.scale); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	fmt.Print(tlsOfPaths, "\n\n")
	if err := environment(p.dir); err != nil {
		return err
	}
	for _, part := range s.parts {
		switch part {
		case partPeers:
			err = benchPeers(ctx, s, p, st)
		case partLayers:
			err = benchLayers(ctx, s, p)
		case partStream:
			err = benchStream(ctx, s, p)
		case partIdle:
			err = benchIdle(ctx, s, p)
		default:
			err = fmt.Errorf("unknown part: want peers, layers, stream or idle: %q", part)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	fmt.Printf("All of it took %s.\n", time.Since(began).Round(time.Second))
	return environment(p.dir)
}

// environment prints what the figures depend on besides the programs.
func environment(dir string) error {
	rate, err := syncRate(dir, time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("%d CPUs, load average %.1f, the disk makes %.0f writes of %d KiB durable a second (%s each)\n\n",
		runtime.NumCPU(), kit.Load(), rate, syncWrite>>10, time.Duration(float64(time.Second)/rate).Round(time.Microsecond))
	return nil
}

// startStack starts a whole Doorward and fills pgbench's tables.
func startStack(ctx context.Context, scale int) (*stack.Stack, error) {
	fmt.Println("Starting the stack ...")
	log.SetLogger(logr.Discard())
	s, err := stack.Start(ctx, stack.Options{Progress: os.Stdout, Quiet: true, Pprof: true})
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, &place{postgres: s.Postgres, password: s.Canary}, scale); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// stackPlace is the place of a stack's target.
func stackPlace(s *stack.Stack) (*place, error) {
	dir, err := os.MkdirTemp(s.Dir, "bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	return newPlace(s.Postgres, s.Canary, dir)
}

func portOf(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

// target names a server on loopback to libpq.
func target(port, password, ca string) []string {
	return []string{
		"PGHOST=127.0.0.1", "PGPORT=" + port, "PGUSER=" + stack.Role, "PGDATABASE=" + stack.Database,
		"PGPASSWORD=" + password, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + ca,
	}
}
