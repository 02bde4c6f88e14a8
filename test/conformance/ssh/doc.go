// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ssh has stock clients do the same work twice, on an sshd that is reached directly and
// through the proxy, and compares what comes of it: what they show, how they end, and the files
// on both sides. They are OpenSSH's ssh, scp and sftp, tmux around a shell, curl through
// forwards, rsync and git. The proxy allows everything (test/gateway), so that whatever differs
// is its own doing; what a policy refuses, the client is told.
//
// Most tests are scripts, as one would type them: each side has an ssh, scp and sftp in its PATH
// that know "target", the sshd on this side's way, and "second", another sshd.
package ssh
