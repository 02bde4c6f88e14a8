// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package commandtest has command lines for tests: what has been written to run something unseen, and
// what people and tools write every day.
package commandtest
