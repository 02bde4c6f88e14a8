// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sshd runs real OpenSSH servers on loopback.
//
//	server := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: "deploy", Password: "..."}}})
//	client, err := ssh.Dial("tcp", server.Address(), &ssh.ClientConfig{
//		User: "deploy", HostKeyCallback: ssh.FixedHostKey(server.HostKey), ...})
//
// A server has a host key of its own, serves shells, commands, forwards and SFTP, logs at
// VERBOSE, which names the key ids of certificates, and forgets everything when it stops.
//
// Started by root, on Linux, it has mounts and process ids of its own: its /etc/passwd holds
// the Accounts, with passwords where they have some, so that neither the machine's accounts
// nor its PAM nor its records of logins are touched, and sessions end with it. Started by
// anybody else it can only let that very user in, by key or certificate, and sessions end
// when their connections do.
package sshd
