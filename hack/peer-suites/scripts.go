// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// checkout says which commit a checkout is at.
func checkout(ctx context.Context, s settings, name string) (dir, version string, err error) {
	if dir = s.checkouts[name]; dir == "" {
		return "", "", fmt.Errorf("its source is not at hand: give a git checkout with -%s", name)
	}
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "log", "-1", "--format=%H (%cs)").Output()
	if err != nil {
		return "", "", fmt.Errorf("cannot tell the commit of %q: %w", dir, err)
	}
	return dir, strings.TrimSpace(string(out)), nil
}

// debianPython is the interpreter that Debian's python3-psycopg is installed for.
const debianPython = "/usr/bin/python3"

func psycopgSuite(ctx context.Context, s settings) (*suite, error) {
	dir, version, err := checkout(ctx, s, "psycopg")
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, debianPython, "-c", "import psycopg, pytest_asyncio; print(psycopg.__version__)").Output()
	if err != nil {
		return nil, fmt.Errorf("psycopg or pytest is missing: on Debian apt-get install python3-psycopg python3-pytest-asyncio: %w", err)
	}
	return &suite{
		name: "psycopg " + strings.TrimSpace(string(out)), version: version, database: "psycopg_test",
		tests: func(ctx context.Context, p place) (outcomes, error) {
			report := filepath.Join(os.TempDir(), fmt.Sprintf("doorward-psycopg-%d.xml", p.port))
			defer os.Remove(report)
			args := []string{
				"-B", "-m", "pytest", "-q", "--junit-xml=" + report, "-o", "junit_family=xunit1",
				"-o", "asyncio_mode=auto", "-m", "not slow and not mypy and not timing", "--ignore=tests/crdb", "--ignore=tests/pool", "tests",
			}
			if s.run != "" {
				args = append(args, "-k", s.run)
			}
			command := exec.CommandContext(ctx, debianPython, args...)
			command.Dir, command.Env = dir, append(os.Environ(), "PSYCOPG_IMPL=python", "PSYCOPG_TEST_DSN="+p.dsn())
			output, err := command.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return nil, fmt.Errorf("cannot run pytest: %w: %s", err, output)
			}
			got, err := readJUnit(report)
			if err != nil {
				return nil, fmt.Errorf("%w: %s", err, output)
			}
			return got, nil
		},
	}, nil
}

// readJUnit reads the report of a test runner.
func readJUnit(path string) (outcomes, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("no report of the tests: %w", err)
	}
	type trouble struct {
		Text string `xml:",chardata"`
	}
	var report struct {
		Cases []struct {
			Class    string    `xml:"classname,attr"`
			Name     string    `xml:"name,attr"`
			Failures []trouble `xml:"failure"`
			Errors   []trouble `xml:"error"`
			Skipped  []trouble `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(content, &report); err != nil {
		return nil, fmt.Errorf("cannot read the report of the tests: %w", err)
	}
	all := outcomes{}
	for _, c := range report.Cases {
		one := outcome{result: passed}
		switch {
		case len(c.Failures)+len(c.Errors) > 0:
			one.result = failed
			for _, t := range append(c.Failures, c.Errors...) {
				one.output += t.Text
			}
		case len(c.Skipped) > 0:
			one.result = skipped
		}
		all[c.Class+"."+c.Name] = one
	}
	return all, nil
}

// fileBound is how long one file of node-postgres' tests may run.
const fileBound = 2 * time.Minute

func nodeSuite(ctx context.Context, s settings) (*suite, error) {
	dir, version, err := checkout(ctx, s, "node-postgres")
	if err != nil {
		return nil, err
	}
	var files []string
	for _, pattern := range []string{"integration/*", "integration/*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, "packages", "pg", "test", pattern+"-tests.js"))
		if err != nil {
			return nil, fmt.Errorf("cannot list the tests: %w", err)
		}
		files = append(files, found...)
	}
	return &suite{
		name: "node-postgres", version: version, database: "node_test", settings: map[string]string{},
		statements: []string{
			"CREATE TABLE person(id serial, name varchar(10), age integer)",
			"INSERT INTO person (name, age) SELECT 'Aaron' || i, i FROM generate_series(1, 26) i",
		},
		tests: func(ctx context.Context, p place) (outcomes, error) {
			all := outcomes{}
			for _, file := range files {
				name, err := filepath.Rel(filepath.Join(dir, "packages", "pg", "test"), file)
				if err != nil {
					return nil, fmt.Errorf("cannot name a test: %w", err)
				}
				if s.run != "" && !strings.Contains(name, s.run) {
					continue
				}
				all[name] = nodeFile(ctx, dir, file, p)
			}
			return all, ctx.Err()
		},
	}, nil
}

// nodeFile runs one file of tests, which fails by its exit status.
func nodeFile(ctx context.Context, dir, file string, p place) outcome {
	ctx, cancel := context.WithTimeout(ctx, fileBound)
	defer cancel()
	command := exec.CommandContext(ctx, "node", file, p.url(url.Values{"sslmode": {"verify-full"}, "sslrootcert": {p.ca}}))
	command.Dir = filepath.Join(dir, "packages", "pg")
	command.Env = append(p.environment(), "NODE_EXTRA_CA_CERTS="+p.ca)
	output, err := command.CombinedOutput()
	if err != nil {
		return outcome{failed, string(bytes.TrimSpace(output)) + "\n" + err.Error()}
	}
	return outcome{result: passed}
}
