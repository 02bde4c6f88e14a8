// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stack runs all of Doorward on real components, on loopback: a control
// plane, the manager, an OIDC issuer, PostgreSQL with a small shop in it, and
// External proxies. The playground, the conformance and resilience suites and
// the benchmarks stand on it; package stacktest has what suites share. StartHost adds an SSH
// server with a Connection and a proxy of its own.
//
// The people are the same at psql and at kubectl: the API server trusts the
// same issuer.
package stack
