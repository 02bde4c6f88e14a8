// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package account holds what the target executed, what its table holds and what
// the clients were answered against what is on record: promise 2, seen from
// outside. The witnesses know each other by marks, texts that are each in one
// statement.
package account
