// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package availability runs several managers and several proxies of one Connection,
// as real processes, and takes some of them away.
package availability
