// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ssh goes through Doorward by SSH as people do: with OpenSSH's client, to a real sshd,
// through a proxy that a manager gives its policies, host keys and approvals by a real API
// server.
package ssh
