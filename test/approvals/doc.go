// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package approvals tests approvals of scope Session on the real stack: people with
// kubectl's rights, the manager, a proxy and PostgreSQL.
package approvals
