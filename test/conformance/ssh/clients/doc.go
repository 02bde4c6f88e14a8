// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clients has SSH clients other than OpenSSH's do the same work twice, at an sshd that is
// reached directly and through the proxy, and compares all they show: paramiko, ssh2 for Node.js,
// Ansible, dropbear's dbclient, and PuTTY's plink, psftp and pscp. Each logs in to the proxy by a
// token as the password, and by a certificate where it knows them. The proxy allows everything
// (test/gateway), so that whatever differs is its own doing.
//
// ssh-audit looks at what the proxy offers before anybody has logged in.
package clients
