// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import "syscall"

// attributes makes the child die with its parent and keeps the terminal's Ctrl-C from it,
// so that whoever started it decides the order of the end.
func attributes(credential *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: credential}
}
