// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"os"
	"syscall"
)

func allocate(file *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(file.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return nil // the zeros that follow allocate
		case err != nil:
			return &os.PathError{Op: "fallocate", Path: file.Name(), Err: err}
		default:
			return nil
		}
	}
}

func datasync(file *os.File) error {
	for {
		err := syscall.Fdatasync(int(file.Fd()))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: file.Name(), Err: err}
		}
		return nil
	}
}

// goPastCache has a file written with O_DIRECT (open(2)).
func goPastCache(file *os.File) error {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_GETFL, 0)
	if errno == 0 {
		_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_SETFL, flags|syscall.O_DIRECT)
	}
	if errno != 0 {
		return &os.PathError{Op: "fcntl", Path: file.Name(), Err: errno}
	}
	return nil
}
