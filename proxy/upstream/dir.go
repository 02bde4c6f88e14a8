// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// maxCredentialFile bounds each file, in bytes. A kubelet mounts no more than
// 1 MiB for a whole Secret; no protocol carries a password of 64 KiB.
const maxCredentialFile = 64 << 10

// Dir reads a credential from a directory: a mounted Secret, or files beside
// an External proxy. The directory is read anew each time.
type Dir struct {
	// Path is the directory, absolute.
	Path string
	// Private refuses a file of a password or a private key that anybody but its owner may read or
	// write. It is for files that people place; a mounted Secret is readable
	// by the pod's users by design.
	Private bool
}

// Get reads the credential and returns it where it names the use. One call
// sees one version of a mounted Secret, also while the kubelet swaps it.
func (d Dir) Get(ctx context.Context, use Use) (Secret, error) {
	if err := ctx.Err(); err != nil {
		return Secret{}, fmt.Errorf("cannot read credential: %w", err)
	}
	root, err := openVersion(d.Path)
	if err != nil {
		return Secret{}, fmt.Errorf("cannot read credential: %w", err)
	}
	defer root.Close()

	secret, err := assemble(func(name string) ([]byte, error) {
		return readFile(root, name, d.Private && slices.Contains(secretFiles, name))
	}, use)
	if err != nil {
		return Secret{}, fmt.Errorf("cannot use credential: directory %q: %w", d.Path, err)
	}
	return secret, nil
}

// openVersion opens a directory; where the kubelet keeps versions behind the
// link "..data", it opens the version that the link names now. Reading all
// files below one version keeps a user name from meeting the next password.
func openVersion(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	version, err := root.Readlink("..data")
	if errors.Is(err, fs.ErrNotExist) {
		return root, nil
	}
	defer root.Close()
	if err != nil {
		return nil, err
	}
	return root.OpenRoot(version)
}

// readFile reads one file below root. Errors name the file and never hold its
// content.
func readFile(root *os.Root, name string, private bool) ([]byte, error) {
	// Without O_NONBLOCK a named pipe in the file's place would hold the session.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key is missing: %q: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file: %q", name)
	}
	if private && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may use the file: %q has mode %#o, want 0600 or less", name, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, maxCredentialFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxCredentialFile {
		return nil, fmt.Errorf("file is too large: %q, want at most %d bytes", name, maxCredentialFile)
	}
	return content, nil
}
