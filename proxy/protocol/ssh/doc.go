// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ssh speaks SSH (RFC 4251 to 4254, and OpenSSH's PROTOCOL) on both sides of the road:
// to the client as a server, to the target as a client.
//
// One connection of a client is one session of the road, with one connection to the target.
// What is asked for in it, a program, a file, a forwarded connection, is one operation each:
// nothing of it reaches the target before it was decided and is on record. One operation is
// decided at a time, so that while one is held for approval nothing else is opened. What no
// file of this package names, a channel, a request or a message, is refused.
//
// Who the caller is, is known when the client's handshake is finished and not before: keys that
// are merely offered prove nothing. See authenticate.go.
//
// Lines of exec are read by package command, and files of SFTP decided by package sftp. What is
// typed into a terminal is not decided, since no one but the target's shell knows what it means:
// policies allow shells or do not, and a shell is recorded whole. The detector of detector.go is
// advisory. See docs/protocols/ssh.md.
package ssh
