// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pgpod is PostgreSQL as a target of tests on a cluster: a pod with the
// image of test/cluster/images, with TLS of its own authority and a log of every
// statement that the test can read.
package pgpod
