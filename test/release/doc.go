// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release tests what `make dist` makes.
package release
