// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The modules whose tests are run. pgx is at the version that this module uses.
const (
	pgxModule = "github.com/jackc/pgx/v5"
	pqModule  = "github.com/lib/pq"
	pqVersion = "v1.12.3"
)

func pgxSuite(ctx context.Context, s settings) (*suite, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", pgxModule).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot tell the version of %s: %w", pgxModule, err)
	}
	return goSuite(ctx, s, goModule{
		path: pgxModule, version: strings.TrimSpace(string(out)), database: "pgx_test",
		statements: []string{
			"CREATE EXTENSION hstore", "CREATE EXTENSION ltree", "CREATE DOMAIN uint64 AS numeric(20,0)",
			`CREATE USER " tricky, ' } "" \ test user " SUPERUSER PASSWORD 'secret'`,
		},
		environment: func(p place) []string {
			return append(os.Environ(), "PGX_TEST_DATABASE="+p.dsn(), "PGX_TEST_TCP_CONN_STRING="+p.dsn(), "PGX_TEST_TLS_CONN_STRING="+p.dsn())
		},
	})
}

func pqSuite(ctx context.Context, s settings) (*suite, error) {
	return goSuite(ctx, s, goModule{
		path: pqModule, version: pqVersion, database: "pqgo", statements: []string{"CREATE EXTENSION hstore"},
		environment: func(p place) []string { return append(p.environment(), "PGCONNECT_TIMEOUT=20") },
		// They bring servers of their own that know no TLS, or need certificates that
		// only the authors' containers have.
		skip: "TestConnectionTargetSessionAttrs|TestSSL",
	})
}

// goModule is a Go module whose tests talk to a server.
type goModule struct {
	path, version string
	database      string
	statements    []string
	environment   func(place) []string
	// skip selects the tests that are not run at either place.
	skip string
}

func goSuite(ctx context.Context, s settings, m goModule) (*suite, error) {
	dir, commit, err := download(ctx, m)
	if err != nil {
		return nil, err
	}
	version := m.version
	if commit != "" {
		version += " (" + commit + ")"
	}
	return &suite{
		name: m.path, version: version, database: m.database, statements: m.statements,
		tests: func(ctx context.Context, p place) (outcomes, error) {
			args := []string{"test", "-json", "-count=1", "-p=1", "-timeout=20m"}
			if s.run != "" {
				args = append(args, "-run="+s.run)
			}
			if m.skip != "" {
				args = append(args, "-skip="+m.skip)
			}
			command := exec.CommandContext(ctx, "go", append(args, "./...")...)
			command.Dir, command.Env = dir, append(m.environment(p), "GOFLAGS=-mod=mod", "GOWORK=off")
			return readGoTest(command, m.path)
		},
	}, nil
}

// download puts a module's source where its tests can run: what the module
// cache holds is read-only.
func download(ctx context.Context, m goModule) (dir, commit string, err error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.path+"@"+m.version)
	command.Dir = os.TempDir() // no module's: its go.mod has no say
	out, err := command.Output()
	if err != nil {
		return "", "", fmt.Errorf("cannot download %s@%s: %w: %s", m.path, m.version, err, out)
	}
	var got struct {
		Dir    string
		Origin struct{ Hash string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return "", "", fmt.Errorf("cannot read what go mod download says: %w", err)
	}
	if dir, err = os.MkdirTemp("", "doorward-peer-suites-"); err != nil {
		return "", "", fmt.Errorf("cannot make a folder: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = os.RemoveAll(dir) })
	target := filepath.Join(dir, "module")
	if err := os.CopyFS(target, os.DirFS(got.Dir)); err != nil {
		return "", "", fmt.Errorf("cannot copy the module: %w", err)
	}
	return target, got.Origin.Hash, nil
}

// readGoTest runs go test -json and reads how each test ended.
func readGoTest(command *exec.Cmd, module string) (outcomes, error) {
	var trouble bytes.Buffer
	command.Stderr = &trouble
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot read what go test says: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot run go test: %w", err)
	}
	all := outcomes{}
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var event struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(event.Package, module), "/") + ":" + event.Test
		if output[name] == nil {
			output[name] = &strings.Builder{}
		}
		switch event.Action {
		case "output":
			output[name].WriteString(event.Output)
		case "pass", "fail", "skip":
			if event.Test == "" && event.Action != "fail" {
				continue
			}
			result := map[string]string{"pass": passed, "fail": failed, "skip": skipped}[event.Action]
			all[name] = outcome{result, output[name].String()}
		}
	}
	var exit *exec.ExitError
	if err := errors.Join(lines.Err(), command.Wait()); err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("cannot run go test: %w: %s", err, trouble.String())
	}
	return all, nil
}
