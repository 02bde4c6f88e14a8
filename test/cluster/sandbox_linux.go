// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/doorward/doorward/test/proc"
)

//go:embed sandbox.sh
var sandboxScript string

// spaces are the namespaces of a node in the order in which a thread enters them: the file
// below /proc/<pid>/ns and the kind.
var spaces = []struct {
	file string
	kind int
}{{"mnt", unix.CLONE_NEWNS}, {"net", unix.CLONE_NEWNET}, {"pid", unix.CLONE_NEWPID}}

// startSandbox starts the first process of the node. The kernel ends it with this process, and
// with it every process of the node.
func startSandbox(ctx context.Context, dir, group string) (*proc.Process, error) {
	script := filepath.Join(dir, "sandbox.sh")
	if err := os.WriteFile(script, []byte(sandboxScript), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the node's first program: %w", err)
	}
	return proc.StartReady(ctx, proc.Command{
		Name:   "sandbox",
		Path:   "bash",
		Args:   []string{script, dir, group, nodeAddress + "/24"},
		Output: filepath.Join(dir, "sandbox.log"),
		Attributes: func(attributes *syscall.SysProcAttr) {
			for _, space := range spaces {
				attributes.Cloneflags |= uintptr(space.kind)
			}
		},
		// The first process of a process namespace ignores what it has no handler for.
		StopSignal: syscall.SIGKILL,
	}, startTimeout, func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "sandbox"))
		return err
	})
}

// sandbox are the namespaces of a node whose first process is known.
type sandbox struct{ pid int }

// enter moves the calling thread, which has to be locked and has to end afterwards, into the
// namespaces; what it forks runs in all of them.
func (s sandbox) enter() error {
	// A thread that shares its working directory with others cannot change its mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("cannot leave the process's working directory: %w", err)
	}
	// All are opened first: the node's /proc numbers processes otherwise.
	opened := make([]*os.File, len(spaces))
	defer func() {
		for _, file := range opened {
			_ = file.Close()
		}
	}()
	for i, space := range spaces {
		var err error
		if opened[i], err = s.open(space.file); err != nil {
			return err
		}
	}
	for i, space := range spaces {
		if err := unix.Setns(int(opened[i].Fd()), space.kind); err != nil {
			return fmt.Errorf("cannot enter the node's namespace %q: %w", space.file, err)
		}
	}
	return nil
}

func (s sandbox) open(file string) (*os.File, error) {
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", s.pid, file))
	if err != nil {
		return nil, fmt.Errorf("cannot open the node's namespace: %w", err)
	}
	return space, nil
}

// inNetwork calls do on a thread in the node's network namespace. A socket made there belongs
// to it for its whole life, whichever thread uses it.
func (s sandbox) inNetwork(do func() error) error {
	done := make(chan error)
	go func() {
		// Not unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		done <- func() error {
			space, err := s.open("net")
			if err != nil {
				return err
			}
			defer space.Close()
			if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("cannot enter the node's network: %w", err)
			}
			return do()
		}()
	}()
	return <-done
}

// attributes of what runs in the node: no signal at the death of its parent, which it cannot
// see; the end of the sandbox ends it.
func (s sandbox) attributes(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = 0 }

// removeGroups removes the control groups of a node whose processes have ended, in each
// hierarchy of version 1 or the one of version 2.
func removeGroups(ctx context.Context, group string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + group)
	if err != nil {
		return fmt.Errorf("cannot look for control groups: %w", err)
	}
	for _, root := range append(roots, "/sys/fs/cgroup/"+group) {
		for {
			err := removeGroup(root)
			if err == nil {
				break
			}
			// The kernel empties a group a moment after its processes have ended.
			select {
			case <-ctx.Done():
				return fmt.Errorf("cannot remove control group %q: %w", root, err)
			case <-time.After(groupInterval):
			}
		}
	}
	return nil
}

// removeGroup removes a control group and those below it.
func removeGroup(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	// Not os.RemoveAll: the files of a group cannot be removed, the folder can.
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
