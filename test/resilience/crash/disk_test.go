// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// ownProxy runs a further proxy of the shop's Connection for one test.
func ownProxy(t *testing.T, instance, spool string, args ...string) *stack.Proxy {
	t.Helper()
	return stacktest.StartProxy(t, world, stack.ProxyOptions{Instance: instance, Spool: spool, Args: args})
}

// system runs a program of the system.
func system(ctx context.Context, name string, args ...string) error {
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, output)
	}
	return nil
}

// must is system where nothing may fail.
func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if err := system(t.Context(), name, args...); err != nil {
		t.Fatal(err)
	}
}

// mounted mounts a file system for one test, which is skipped where that is not
// permitted, as in a container without the capability.
func mounted(t *testing.T, args ...string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a disk of its own needs root, to mount it")
	}
	dir = t.TempDir()
	if err := system(t.Context(), "mount", append(args, dir)...); err != nil {
		t.Skipf("a disk of its own needs the right to mount it (CAP_SYS_ADMIN, and loop devices): %v", err)
	}
	t.Cleanup(func() {
		// What still has a file open there keeps what it has.
		if err := system(context.Background(), "umount", "--lazy", dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// tmpfs is a disk of a size, such as 24m.
func tmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	return mounted(t, "-t", "tmpfs", "-o", "size="+size, "tmpfs")
}

// ballast fills a disk, and returns the file to remove.
func ballast(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 4096)
	for err == nil {
		_, err = file.Write(zeros)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
