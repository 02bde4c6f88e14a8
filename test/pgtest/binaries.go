// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Errors that say what to install.
var (
	ErrNoPostgreSQL = errors.New("no PostgreSQL server: run `make install-deps`, or install it (Debian: apt-get install postgresql postgresql-contrib)")
	ErrNoPgBouncer  = errors.New("no pgbouncer: run `make install-deps`, or install it (Debian: apt-get install pgbouncer)")
)

// binDirs are where distributions put the server's programs, one folder per major version.
var binDirs = []string{
	"/usr/lib/postgresql/*/bin",     // Debian, Ubuntu
	"/usr/pgsql-*/bin",              // PostgreSQL's own RPMs
	"/opt/homebrew/opt/postgresql*", // macOS
	"/usr/local/opt/postgresql*",
}

// BinDir returns the folder of initdb, postgres, psql and pgbench: the newest version found
// in the distributions' folders, else the one on the PATH.
func BinDir() (string, error) {
	var found []string
	for _, pattern := range binDirs {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("cannot look for PostgreSQL: %w", err)
		}
		for _, dir := range matches {
			for _, candidate := range []string{dir, filepath.Join(dir, "bin")} {
				if _, err := os.Stat(filepath.Join(candidate, "initdb")); err == nil {
					found = append(found, candidate)
				}
			}
		}
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNoPostgreSQL
	}
	return filepath.Dir(path), nil
}

// version returns the largest number in a path, which is the major version.
func version(path string) int {
	largest, current := 0, 0
	for _, r := range path {
		if r < '0' || r > '9' {
			current = 0
			continue
		}
		current = current*10 + int(r-'0')
		largest = max(largest, current)
	}
	return largest
}

// pgBouncerPath returns the path of pgbouncer, which Debian keeps off users' PATH.
func pgBouncerPath() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoPgBouncer
}

// unprivileged returns whom to run servers as: nil for the caller, who is not root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil means "as the caller", see proc.Command
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("cannot read the ids of user %q: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("root may not run PostgreSQL, and there is neither a user postgres nor nobody to run it as")
}

// privateDir makes a folder in the system's temporary folder that belongs to whom the server
// runs as. It is not below a caller's folder, which that user may not be able to enter.
func privateDir(name string, as *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		return "", fmt.Errorf("cannot make a server's folder: %w", err)
	}
	return dir, own(dir, as)
}

// writePrivate writes a file, mode 0600, that belongs to whom the server runs as.
func writePrivate(path string, content []byte, as *syscall.Credential) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("cannot write a server's file: %w", err)
	}
	return own(path, as)
}

func own(path string, as *syscall.Credential) error {
	if as == nil {
		return nil
	}
	if err := os.Chown(path, int(as.Uid), int(as.Gid)); err != nil {
		return fmt.Errorf("cannot give a server its file: %w", err)
	}
	return nil
}
