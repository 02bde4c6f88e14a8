// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify has the verifier find what is done to logs that a real spool
// wrote, in its own directory and in the files of a file sink: records edited,
// reordered, deleted, cut off at the end, rolled back and forked. By default
// the logs are small; make conformance-verify, or DOORWARD_LONG=1, has 100,000
// records tampered with and 1,000,000 untouched, and holds the verifier to its
// time and memory.
package verify
