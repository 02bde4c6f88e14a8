// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load is a steady load of PostgreSQL sessions: each client reads and
// writes at a fixed pace, comes back when it is cut, and knows what it was
// answered. Visitors log in, ask one thing and leave. What a fault costs is read
// off afterwards: which sessions ended and why, who waited for how long, which
// operations were answered, which are in doubt.
//
// Every statement has a mark of its own (package account), by which it is found
// in the target's log, in its table and in the records.
package load
