// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command ssh measures what Doorward costs on the way to an SSH server, against
// peers in the same run. Its parts:
//
//   - throughput: OpenSSH's clients move content by SFTP, by commands and to a
//     terminal, directly, through haproxy, through sshpiper where a build of it
//     is at hand, and through Doorward with recording on;
//   - login: the time until a command of such a client has run;
//   - layers: the throughput through layers of Doorward, each the one before and
//     one thing more, and where its CPU time goes, from profiles;
//   - idle: what a session holds that does nothing.
//
// Paths take turns, so that what else the machine does meets all of them. Cipher
// and key exchange are the same on all of them. It prints medians, ratios, and
// the CPU time that the process in between took.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/doorward/doorward/test/bench/kit"
)

// The parts of the benchmark.
const (
	partThroughput = "throughput"
	partLogin      = "login"
	partLayers     = "layers"
	partIdle       = "idle"
)

// settings are what the flags say.
type settings struct {
	rounds   int
	size     int64
	logins   int
	sessions int
	// sshpiper is a program, none where empty.
	sshpiper string
	// only limits the flows to those whose names hold this text.
	only string
	// rival is another build of this command, whose Doorward takes turns with this one's.
	rival string
	// profiles is a folder that CPU profiles are kept in; none where empty.
	profiles string
	// dir is where logs lie.
	dir string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := settings{}
	parts := flag.String("parts", "throughput,login,layers,idle", "what to measure")
	size := flag.Int64("size", 512, "what one turn moves, in MiB; a terminal an eighth of it")
	flag.IntVar(&s.rounds, "rounds", 5, "turns of each path")
	flag.IntVar(&s.logins, "logins", 30, "logins on each path")
	flag.IntVar(&s.sessions, "sessions", 1000, "idle sessions")
	flag.StringVar(&s.sshpiper, "sshpiper", "", "an sshpiperd of the 0.x line, which is measured besides where given")
	flag.StringVar(&ciphers, "ciphers", ciphers, "what client and target may negotiate, by themselves and with what is between them")
	flag.StringVar(&s.only, "flow", "", "measure only the flows whose names hold this text")
	flag.StringVar(&s.rival, "rival", "", "another build of this command, whose Doorward takes turns with this one's")
	flag.StringVar(&s.profiles, "profiles", "", "a folder to keep CPU profiles in")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where the proxy's log lies")
	partial := flag.String("partial", "", "serve what this file describes (used by the command itself)")
	relaying := flag.String("relay", "", "serve as the relay that this file describes (used by the command itself)")
	idling := flag.String("idle-target", "", "serve as the target that this file describes (used by the command itself)")
	flag.Parse()
	s.size = *size << 20
	var err error
	switch {
	case *partial != "":
		err = servePartial(ctx, *partial)
	case *relaying != "":
		err = serveRelay(ctx, *relaying)
	case *idling != "":
		err = serveIdleTarget(ctx, *idling)
	default:
		err = bench(ctx, s, strings.Split(*parts, ","))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// bench measures the parts that were asked for, one after the other.
func bench(ctx context.Context, s settings, parts []string) (err error) {
	began := time.Now()
	p, err := startPlace(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = p.stop(err) }()
	environment()
	for _, part := range parts {
		switch part {
		case partThroughput:
			err = benchThroughput(ctx, s, p)
		case partLogin:
			err = benchLogin(ctx, s, p)
		case partLayers:
			err = benchLayers(ctx, s, p)
		case partIdle:
			err = benchIdle(ctx, s, p)
		default:
			err = fmt.Errorf("unknown part: want throughput, login, layers or idle: %q", part)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	fmt.Printf("All of it took %s.\n", time.Since(began).Round(time.Second))
	environment()
	return nil
}

// environment prints what the figures depend on besides the programs.
func environment() {
	fmt.Printf("%d CPUs, load average %.1f; %s, %s\n\n", runtime.NumCPU(), kit.Load(), ciphers, keyExchange)
}
