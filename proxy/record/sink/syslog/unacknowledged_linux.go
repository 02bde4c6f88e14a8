// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged is the number of bytes sent that the other side's kernel has
// not acknowledged.
func unacknowledged(conn *net.TCPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	n, failure := 0, error(nil)
	if err := raw.Control(func(fd uintptr) { n, failure = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0, err
	}
	return n, failure
}
