// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package proc

import "syscall"

// attributes keeps the terminal's Ctrl-C from the child, so that whoever started it decides
// the order of the end. Only Linux can tie the child's life to its parent's.
func attributes(credential *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential}
}
