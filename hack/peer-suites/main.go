// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command peer-suites runs the test suites of PostgreSQL drivers, and OpenSSH's,
// twice, against a server reached directly and through the proxy, and lists the
// tests that do not end alike. The server is a fresh one for each run; the proxy allows
// everything and masks nothing (test/gateway).
//
//	go run ./hack/peer-suites                      pgx's and lib/pq's suites
//	go run ./hack/peer-suites -suites pgx -run Copy
//	go run ./hack/peer-suites -suites psycopg -psycopg <checkout>
//	go run ./hack/peer-suites -suites openssh      of Debian's openssh-tests, those that a proxy is about
//	go run ./hack/peer-suites -suites openssh -run connect,multiplex -v
//	go run ./hack/peer-suites -serve               a server and a proxy, until Ctrl-C
//
// The suites of pgx and lib/pq are in their Go modules. Those of psycopg and
// node-postgres are read from a git checkout that is given; they test the
// drivers that Debian's python3-psycopg and test/conformance/node install.
// OpenSSH's scripts and the few programs that they need are those of the Debian
// package openssh-tests. Nothing of them is kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer-suites:", err)
		os.Exit(1)
	}
}

// settings are what the command is told.
type settings struct {
	run       string
	checkouts map[string]string
	verbose   bool
}

func run(ctx context.Context) error {
	var s settings
	names := flag.String("suites", "pgx,pq", "which suites: pgx, pq, psycopg, node-postgres, openssh")
	flag.StringVar(&s.run, "run", "", "run only the tests whose name this selects, in the words of the suite's own runner")
	psycopg := flag.String("psycopg", "", "a git checkout of psycopg, at the tag of the installed python3-psycopg")
	nodePostgres := flag.String("node-postgres", "", "a git checkout of node-postgres")
	openssh := flag.String("openssh", "/usr/lib/openssh/regress", "the folder with OpenSSH's regression tests and their built helpers")
	serve := flag.Bool("serve", false, "run no suite: serve until interrupted")
	relay := flag.String("relay", "", "run no suite: carry standard input and output to this address, as scripts have it done")
	flag.BoolVar(&s.verbose, "v", false, "show the output of tests that fail through the proxy only")
	flag.Parse()
	s.checkouts = map[string]string{"psycopg": *psycopg, "node-postgres": *nodePostgres, "openssh": *openssh}
	if *relay != "" {
		return relayTo(ctx, *relay)
	}
	if *serve {
		return serveOnly(ctx)
	}
	var errs []error
	for _, name := range strings.Split(*names, ",") {
		open, known := suites[name]
		if !known {
			return fmt.Errorf("no such suite: %q: there are pgx, pq, psycopg, node-postgres and openssh", name)
		}
		suite, err := open(ctx, s)
		if err == nil {
			err = compare(ctx, suite, s.verbose)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("suite %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// suites makes a suite by its name.
var suites = map[string]func(context.Context, settings) (*suite, error){
	"pgx": pgxSuite, "pq": pqSuite, "psycopg": psycopgSuite, "node-postgres": nodeSuite, "openssh": opensshSuite,
}

// suite is the tests of one driver, or program.
type suite struct {
	// name and version say what was run; version is a release and, where it was
	// a checkout, its commit.
	name, version string
	// run runs all tests on one way. Where it is nil, the suite is that of a driver,
	// to which what follows applies.
	run func(ctx context.Context, proxied bool) (outcomes, error)
	// database is made before each run, and the statements run in it.
	database   string
	statements []string
	// settings of the server.
	settings map[string]string
	// tests runs all tests at a place.
	tests func(context.Context, place) (outcomes, error)
}

// outcome is how one test ended.
type outcome struct {
	result string
	output string
}

// The results of a test.
const (
	passed  = "passed"
	failed  = "failed"
	skipped = "skipped"
)

// outcomes are by name of the test.
type outcomes map[string]outcome

func (o outcomes) count(result string) (n int) {
	for _, one := range o {
		if one.result == result {
			n++
		}
	}
	return n
}
