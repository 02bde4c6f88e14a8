// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// stateFile holds the [Handle] of a cluster in its folder; lockFile is locked by the process
// that owns the cluster for as long as that lives.
const (
	stateFile = "cluster.json"
	lockFile  = "lock"
)

// maxSocket is how long the path of a socket may be, see unix(7).
const maxSocket = 107

// validName bounds what becomes part of paths, device names and host names.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// ErrRunning says that a cluster of the name is there already.
var ErrRunning = errors.New("a cluster of this name is running")

// root is the folder that holds one folder for each cluster of the machine.
func root() string { return filepath.Join(os.TempDir(), "doorward-clusters") }

// checkRoot refuses a folder of clusters that somebody else owns or may write into: what is in
// it is run and removed as root, and the folder for temporary files is everybody's.
func checkRoot() error {
	info, err := os.Lstat(root())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look for former clusters: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("folder %q is not this user's alone: remove it, or set TMPDIR to another", root())
	}
	return nil
}

// group is the control group of the node's pods.
func (h *Handle) group() string { return groupOf(h.Name) }

func groupOf(name string) string { return "doorward-" + name }

// claim makes the folder of a new cluster and locks it. Without a name it takes the first free
// one after the process's number.
func claim(name string) (string, string, *os.File, error) {
	names := []string{name}
	if name == "" {
		names = nil
		for i := range 100 {
			names = append(names, "test-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(i))
		}
	}
	for _, candidate := range names {
		if !validName.MatchString(candidate) {
			return "", "", nil, fmt.Errorf("cannot name a cluster %q: use at most 40 lower-case letters, digits and hyphens between them", candidate)
		}
		dir := filepath.Join(root(), candidate)
		if socket := filepath.Join(dir, "containerd.sock.ttrpc"); len(socket) > maxSocket {
			return "", "", nil, fmt.Errorf("cannot make socket %q: its path is longer than %d: set TMPDIR to a shorter one", socket, maxSocket)
		}
		if err := errors.Join(os.MkdirAll(dir, 0o700), checkRoot()); err != nil {
			return "", "", nil, fmt.Errorf("cannot make the cluster's folder: %w", err)
		}
		lock, err := tryLock(dir)
		if err != nil {
			return "", "", nil, err
		}
		if lock != nil {
			return candidate, dir, lock, nil
		}
	}
	return "", "", nil, fmt.Errorf("%w: %q", ErrRunning, name)
}

// tryLock locks a cluster's folder; nil where its owner lives.
func tryLock(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the cluster's folder: %w", err)
	}
	// The descriptor's number fits: the kernel hands out small ones.
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && isAt(lock, lock.Name()) {
		return lock, nil
	}
	_ = lock.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("cannot lock the cluster's folder: %w", err)
}

// isAt says whether an open file is the one at a path: who locked the folder before may have
// removed it, and somebody else may have made another since.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}

// sweep removes what clusters left behind whose owners were killed: the kernel has ended their
// processes, mounts and networks; folders and control groups remain.
func sweep() error {
	if err := checkRoot(); err != nil {
		return err
	}
	entries, err := os.ReadDir(root())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot look for former clusters: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() || !validName.MatchString(entry.Name()) {
			continue // no cluster's
		}
		dir := filepath.Join(root(), entry.Name())
		lock, err := tryLock(dir)
		if err != nil || lock == nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, remove(entry.Name(), dir), lock.Close())
	}
	return errors.Join(errs...)
}

// remove removes the control groups and the folder of a cluster without processes; the folder
// stays with the groups, for the next start to try again.
func remove(name, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := removeGroups(ctx, groupOf(name)); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// keepLogs copies the servers' logs, the audit log and those of pods to where they were asked for.
func (c *Cluster) keepLogs() error {
	if c.logs == "" {
		return nil
	}
	files, err := filepath.Glob(c.path("*.log"))
	if err != nil {
		return fmt.Errorf("cannot keep the cluster's logs: %w", err)
	}
	target := filepath.Join(c.logs, c.Name)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("cannot keep the cluster's logs: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(target, filepath.Base(file)), content, 0o644)
		}
		if err != nil {
			return fmt.Errorf("cannot keep the cluster's logs: %w", err)
		}
	}
	pods := c.path("files/var/log/pods")
	if _, err := os.Stat(pods); err != nil {
		return nil //nolint:nilerr // no pod has run
	}
	if err := os.CopyFS(filepath.Join(target, "pods"), os.DirFS(pods)); err != nil {
		return fmt.Errorf("cannot keep the pods' logs: %w", err)
	}
	return nil
}

// save writes the handle for other processes.
func (h *Handle) save() error {
	content, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("cannot encode the cluster's state: %w", err)
	}
	// Whole or not at all: others may read it at any time.
	path := h.path(stateFile)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("cannot write the cluster's state: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Open returns a running cluster of this machine by its name.
func Open(name string) (*Handle, error) {
	running, err := List()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(running, func(h *Handle) bool { return h.Name == name })
	if i < 0 {
		var names []string
		for _, h := range running {
			names = append(names, h.Name)
		}
		return nil, fmt.Errorf("no cluster %q is running; there are: %s", name, strings.Join(names, " "))
	}
	return running[i], nil
}

// List returns the clusters of this machine that are running and Ready, in the order of names.
func List() ([]*Handle, error) {
	if err := checkRoot(); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(root(), "*", stateFile))
	if err != nil {
		return nil, fmt.Errorf("cannot look for clusters: %w", err)
	}
	var running []*Handle
	for _, path := range paths {
		lock, err := tryLock(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		if lock != nil {
			// Its owner is dead.
			_ = lock.Close()
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it ended in between
		}
		handle := &Handle{}
		if err := json.Unmarshal(content, handle); err != nil {
			return nil, fmt.Errorf("cannot read the state of a cluster: %q: %w", path, err)
		}
		running = append(running, handle)
	}
	return running, nil
}
