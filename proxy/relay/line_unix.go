// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package relay

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// rawReads says that sockets can be read without waiting here.
const rawReads = true

// attempt reads once; false where the caller is to wait and try again.
func (l *Line) attempt(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), l.into)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if l.waiting == nil {
				return false
			}
			l.err = l.waiting()
			return l.err != nil
		case err != nil:
			l.err = os.NewSyscallError("read", err)
		case n == 0:
			l.err = io.EOF
		default:
			l.n = n
		}
		return true
	}
}
