// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server owns everything around the road: listeners, the life of each
// connection, the limits on clients that have proven nothing yet, draining, the
// serving certificate and the health endpoint. It starts the goroutines and
// waits for them; protocols only speak.
package server
