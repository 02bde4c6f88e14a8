// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/stack"
)

// Names of what the tests install; those of the shop are the samples'.
const (
	system     = "doorward-system"
	namespace  = "shop-access"
	local      = "orders-db"        // with volume claims: a StatefulSet
	remote     = "orders-db-remote" // with durability Remote: a Deployment
	database   = "shop"
	provider   = "company"
	sinkName   = "intake"
	bundleName = "doorward-trust-bundle"
)

// roles are who the proxies log in as at the target: each Connection has its own,
// so that its proxies know their own logins.
var roles = map[string]string{local: "doorward", remote: "doorward_remote"}

// Bounds on a busy two-core machine.
const (
	patience    = 4 * time.Minute
	betweenAsks = 250 * time.Millisecond
)

var update = flag.Bool("update", false, "write the table into docs/reliability.md")

// missing is what this machine lacks to run a node.
var missing []string

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	flag.Parse()
	if asked() {
		missing = cluster.Missing(context.Background())
		for _, what := range missing {
			fmt.Println("e2e: skipped, missing:", what)
		}
	}
	code := m.Run()
	if err := show(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// asked says whether these tests are what was asked for: beside others they
// would starve them.
func asked() bool { return os.Getenv("DOORWARD_E2E") == "1" }

// need skips a test on a machine that cannot run a node.
func need(t *testing.T) {
	t.Helper()
	if !asked() {
		t.Skip("takes ten minutes and a machine of its own: run make e2e")
	}
	if len(missing) > 0 {
		t.Skipf("cannot run a node here; missing: %s", strings.Join(missing, "; "))
	}
}

// long says whether there is time for everything.
func long() bool { return os.Getenv("DOORWARD_LONG") == "1" }

var began = time.Now()

// progress says where the tests are: who watches them on another machine sees nothing else.
func progress(format string, arguments ...any) {
	fmt.Printf("e2e %4.0f s: %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, arguments...))
}

// await asks until there is no error, and fails the test when that takes too
// long. It returns how long it took.
func await(t *testing.T, what string, ask func(context.Context) error) time.Duration {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(betweenAsks)
	defer tick.Stop()
	said := start
	for {
		err := ask(ctx)
		if err == nil {
			return time.Since(start)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
		if time.Since(said) > 30*time.Second {
			said = time.Now()
			progress("  waiting for %s: %v", what, err)
		}
	}
}

// folder is where a test keeps its files: DOORWARD_KEEP, or a temporary one.
func folder(t *testing.T, name string) string {
	t.Helper()
	keep := os.Getenv("DOORWARD_KEEP")
	if keep == "" {
		return t.TempDir()
	}
	dir := filepath.Join(keep, strings.ReplaceAll(t.Name(), "/", "-"), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// indent makes text part of a YAML block.
func indent(text []byte, by int) string {
	pad := strings.Repeat(" ", by)
	return pad + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n"+pad)
}

// awaitShort is stack.Await with a bound, for what may fail without failing the test.
func awaitShort(ctx context.Context, bound time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	return stack.Await(ctx, ask)
}
