// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/test/cluster"
)

// ownerVariable makes this test binary the owner of a cluster of the name it holds.
const ownerVariable = "DOORWARD_TEST_CLUSTER"

func TestMain(m *testing.M) {
	if name := os.Getenv(ownerVariable); name != "" {
		os.Exit(own(name))
	}
	os.Exit(m.Run())
}

// own starts a cluster, says so, and waits to be killed.
func own(name string) int {
	c, err := cluster.Start(context.Background(), cluster.Options{Name: name})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	// Until the one that has started this process ends.
	_, _ = os.Stdin.Read(make([]byte, 1))
	if err := c.Stop(); err != nil {
		return 1
	}
	return 0
}

// secondCluster runs another cluster in another process, kills that process, and looks for what
// is left before and after the next start.
func secondCluster(t *testing.T, first *cluster.Cluster) {
	t.Helper()
	name := "killed-" + strconv.Itoa(os.Getpid())
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"="+name)
	if _, err := owner.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	must(t, owner.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the second cluster does not start: %q, %v", line, err)
	}
	second, err := cluster.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	running, err := cluster.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{first.Name, name} {
		if !slices.ContainsFunc(running, func(h *cluster.Handle) bool { return h.Name == want }) {
			t.Errorf("cluster %q is not listed", want)
		}
	}
	if _, err := cluster.Start(t.Context(), cluster.Options{Name: name}); !errors.Is(err, cluster.ErrRunning) {
		t.Errorf("another one of the same name: got %v", err)
	}

	must(t, owner.Process.Kill())
	_ = owner.Wait()
	await(t, "the node's first process to end", func() error {
		if syscall.Kill(second.Init, 0) == nil {
			return errors.New("it runs")
		}
		return nil
	})
	if _, err := cluster.Open(name); err == nil {
		t.Error("the killed cluster is said to run")
	}

	// A start removes the remains, even one that fails, which leaves none of its own.
	failed := "failed-" + strconv.Itoa(os.Getpid())
	if _, err := cluster.Start(t.Context(), cluster.Options{Name: failed, Assets: t.TempDir()}); err == nil {
		t.Error("a start without binaries succeeds")
	}
	for _, former := range []string{name, failed} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(second.Dir), former)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder of %q is left: %v", former, err)
		}
		groups, err := filepath.Glob("/sys/fs/cgroup/*/doorward-" + former)
		if err != nil || len(groups) > 0 {
			t.Errorf("control groups of %q are left: %q, %v", former, groups, err)
		}
	}
	kubectl(t, first, "get", "nodes")
}

// await asks until the condition holds.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("gave up waiting for %s: %v", what, err)
		case <-ticker.C:
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	cluster.SkipUnable(t)
	for _, name := range []string{"../x", "Upper", "-x", "a_b", "a-very-long-name-that-does-not-fit-into-forty"} {
		if c, err := cluster.Start(t.Context(), cluster.Options{Name: name}); err == nil {
			t.Errorf("%q is a name", name)
			must(t, c.Stop())
		}
	}
}
