// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scale measures the real manager at a real API server with many objects;
// `make scale` runs it and prints the figures of docs/scale.md.
package scale
